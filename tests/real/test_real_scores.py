"""The scoring path on real VG150 gold: 26,446 images' format, the first 400 of them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from evaluators import Image, motifs, sgbench

from sgg.config.compose import compose_config
from sgg.config.derived import gold_data
from sgg.data.prepare import prepare, vocabulary
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.scene.graph import to_dict
from sgg.scene.vocab import VOCABULARIES, canonical

pytestmark = pytest.mark.skipif(
    not os.environ.get("SGG_REALDATA"),
    reason="SGG_REALDATA is not set: the folder of real annotations (docs/data.md) is not here",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Gold given as the prediction to itself, every fourth image left without one."""
    folder = tmp_path_factory.mktemp("scores")
    root = Path(os.environ["SGG_REALDATA"]).resolve() / "vg150_test"
    words = [
        "data=vg150_raw",
        f"data.root={root}",
        "data.image_source=painted",
        "data.eval.limit=400",
    ]
    words += ["stage=eval", f"paths.cache={folder}", "protocol.modes=[sgdet,phrdet,sgcls,predcls]"]
    config = compose_config(words)
    gold = prepare(gold_data(config), "eval", folder, quiet=True)
    with (folder / "predictions.jsonl").open("w") as file:
        for index in range(len(gold)):
            item = gold.gold(index)
            if index % 4:
                row = {"image_id": item["image_id"], **to_dict(item["graph"])}
                file.write(json.dumps(row) + "\n")
    predictions = read_predictions(folder / "predictions.jsonl", vocabulary(config.data))
    return score_split(config, predictions, gold).content


def test_gold_as_its_own_prediction_finds_all_but_what_is_missing(found):
    """R, precision and objects; ng-R where a pair has several predicates. 100 of 400 fail."""
    metrics = found["metrics"]
    assert found["images"] == found["completions"] == 400
    assert metrics["failure_rate"] == 1 / 4
    for name in ("ngR", "phrdet ngR", "sgcls ngR", "predcls ngR"):
        assert metrics[name] == pytest.approx(300 / found["images_with_relations"], abs=1e-9)
    assert 0.9 * metrics["ngR"] < metrics["R"] <= metrics["ngR"]
    assert metrics["precision"] == metrics["object_precision"] == 1
    assert 0.6 < metrics["AP50"] < 0.85


def test_the_sources_zero_shot_list_is_used(found):
    assert 0 < found["metrics"]["zR"] <= 1


@pytest.mark.parametrize("protocol", ["sgbench", "vg150_test_kaihua"])
def test_real_gold_under_evaluators(protocol, tmp_path):
    """400 images (fewer than 50 predicates); half of their relations are said, some wrongly."""
    root = Path(os.environ["SGG_REALDATA"]).resolve() / "vg150_test"
    words = [
        "data=vg150_raw",
        f"data.root={root}",
        "data.image_source=painted",
        "data.eval.limit=400",
    ]
    words += [
        "stage=eval",
        f"paths.cache={tmp_path}",
        f"protocol={protocol}",
        "protocol.unknown=miss",
    ]
    config = compose_config(words)
    gold = prepare(gold_data(config), "eval", tmp_path, quiet=True)
    predicates = [canonical(p) for p in VOCABULARIES["vg150"].predicates]
    draw, images = random.Random(0), []
    with (tmp_path / "predictions.jsonl").open("w") as file:
        for index in range(len(gold)):
            item = gold.gold(index)
            graph = item["graph"]
            names = [canonical(n.name) for n in graph.nodes]
            boxes = [list(n.box) for n in graph.nodes]
            relations = [(e.subject, e.object, canonical(e.predicate)) for e in graph.edges]
            said = [
                (s, o, p if draw.random() < 0.7 else draw.choice(predicates))
                for s, o, p in relations
                if draw.random() < 0.5
            ]
            images.append(Image(names, boxes, relations, names, boxes, said, index % 9 > 0))
            if index % 9 > 0:
                row = {"image_id": item["image_id"], **to_dict(graph)}
                row["relationships"] = [
                    {
                        "subject": row["objects"][s]["id"],
                        "predicate": p,
                        "object": row["objects"][o]["id"],
                    }
                    for s, o, p in said
                ]
                file.write(json.dumps(row) + "\n")
            else:
                images[-1] = Image(names, boxes, relations, [], [], [], False)
    assert len({p for image in images for _, _, p in image.relations}) < 50
    predictions = read_predictions(tmp_path / "predictions.jsonl", vocabulary(config.data))
    metrics = score_split(config, predictions, gold).content["metrics"]
    for k in (20, 50, 100):
        if protocol == "sgbench":
            names, expected = [f"R@{k}", f"mR@{k}"], sgbench(images, k)[:2]
        else:
            names = [f"{ng}{m}R@{k}" for ng in ("", "ng") for m in ("", "m")]
            found = motifs(images, predicates, frozenset(), k)
            expected = [found[i] for i in (0, 1, 3, 4)]
        for name, value in zip(names, expected, strict=True):
            assert metrics[name] == pytest.approx(value, abs=1e-6), name
