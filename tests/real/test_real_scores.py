"""The scoring path on real VG150 gold: 26,446 images' format, the first 400 of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sgg.compose import compose_config
from sgg.data.build import prepare, vocabulary
from sgg.evaluate import gold_data, score_split
from sgg.graph import to_dict
from sgg.predictions import read_predictions

pytestmark = pytest.mark.skipif(
    not os.environ.get("SGG_REALDATA"),
    reason="SGG_REALDATA is not set: the folder of real annotations (docs/data.md) is not here",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Gold given as the answer to itself, every fourth image left unanswered."""
    folder = tmp_path_factory.mktemp("scores")
    root = Path(os.environ["SGG_REALDATA"]).resolve() / "vg150_test"
    words = ["data=vg150_raw", f"data.root={root}", "data.pictures=painted", "data.eval.limit=400"]
    words += ["stage=eval", f"paths.cache={folder}", "protocol.modes=[sgdet,phrdet,sgcls,predcls]"]
    config, _ = compose_config(words)
    gold = prepare(gold_data(config), "eval", folder, quiet=True)
    with (folder / "answers.jsonl").open("w") as file:
        for index in range(len(gold)):
            item = gold.gold(index)
            if index % 4:
                row = {"image_id": item["image_id"], **to_dict(item["graph"])}
                file.write(json.dumps(row) + "\n")
    predictions = read_predictions(folder / "answers.jsonl", vocabulary(config.data))
    return score_split(config, predictions, gold).content


def test_gold_as_its_own_answer_finds_all_but_what_is_missing(found):
    """R, precision and objects; ng-R where a pair has several predicates. 100 of 400 fail."""
    metrics = found["metrics"]
    assert found["images"] == found["answers"] == 400
    assert metrics["failure_rate"] == 1 / 4
    for name in ("ngR", "phrdet ngR", "sgcls ngR", "predcls ngR"):
        assert metrics[name] == pytest.approx(300 / found["images_with_relations"], abs=1e-9)
    assert 0.9 * metrics["ngR"] < metrics["R"] <= metrics["ngR"]
    assert metrics["precision"] == metrics["object_precision"] == 1
    assert 0.6 < metrics["AP50"] < 0.85


def test_the_sources_zero_shot_list_is_used(found):
    assert 0 < found["metrics"]["zR"] <= 1
