"""`sgg score` from words to files, and that processes change no number."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from scoring import evaluated

from sgg.cli.score import main
from sgg.config.compose import compose_config
from sgg.config.derived import gold_data
from sgg.data.prepare import prepare
from sgg.errors import SggError
from sgg.evaluation import score as module
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.runs.records import read_per_image
from sgg.scene.graph import SceneGraph

OBJECTS = [{"id": "man.1", "bbox": [0, 0, 40, 40]}, {"id": "dog.2", "bbox": [50, 50, 90, 90]}]


def relation(predicate, subject="man.1", obj="dog.2"):
    return {"subject": subject, "predicate": predicate, "object": obj}


@pytest.fixture
def words(tmp_path):
    """Ten images; the predictions miss in every third, fail in one."""
    gold, said, worse = [], [], []
    for i in range(10):
        row = {"image": f"{i}.png", "image_id": str(i), "width": 100, "height": 100}
        gold.append({**row, "objects": OBJECTS, "relationships": [relation("near")]})
        found = relation("on" if i % 3 == 0 else "near")
        said.append({"image_id": str(i), "objects": OBJECTS, "relationships": [found]})
        worse.append({"image_id": str(i), "objects": OBJECTS, "relationships": []})
    said[1]["objects"] = []
    for name, rows in (("gold", gold), ("said", said), ("worse", worse)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return [
        str(tmp_path / "said.jsonl"),
        "data=jsonl",
        f"data.root={tmp_path}",
        "data.eval.path=gold.jsonl",
        "data.image_source=painted",
        "data.vocabulary=vg150",
        f"paths.cache={tmp_path / 'cache'}",
    ]


def test_score_writes_four_files_and_one_table(words, tmp_path, capsys):
    """0, 3, 6, 9 say `on`, 1 failed: 5 of 10 found; mR is one predicate of fifty."""
    main([*words, f"out={tmp_path / 'out'}"])
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["metrics"]["R@20"] == 0.5
    assert content["metrics"]["mR"] == pytest.approx(0.5 / 50)
    assert content["metrics"]["failure_rate"] == 0.1
    assert content["protocol"]["id"] == "sgg"
    assert content["protocol"]["modes"] == ["sgdet", "phrdet"]
    assert (content["images"], content["gold_relations"]) == (10, 10)
    low, high = content["intervals"]["R@20"]
    assert low < 0.5 < high
    with (tmp_path / "out" / "per_predicate.csv").open() as file:
        rows = {r["predicate"]: r for r in csv.DictReader(file)}
    assert (rows["near"]["gold"], rows["near"]["R"], rows["on"]["predicted"]) == ("10", "0.5", "4")
    (failure,) = [json.loads(x) for x in (tmp_path / "out" / "failures.jsonl").open()]
    assert (failure["image_id"], failure["kind"]) == ("1", "empty")
    by_image = read_per_image(tmp_path / "out")
    assert by_image.image_ids == [str(i) for i in range(10)]
    assert by_image.recall_sum == by_image.found == [0, 0, 1, 0, 1, 1, 0, 1, 1, 0]
    assert by_image.recall_count == by_image.gold == [1] * 10
    assert by_image.failed == [0, 1, *[0] * 8]
    shown = capsys.readouterr().out
    assert "| R " in shown
    assert "protocol sgg: 10 images" in shown


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path):
    names = ["=cmd()", "+1", "-1", "@x", "\tx", "on"]
    nothing = evaluated((SceneGraph(), SceneGraph()))
    replace(nothing, predicates=[{"predicate": n, "R": -0.5} for n in names]).write(tmp_path)
    with (tmp_path / "per_predicate.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["predicate"] for r in rows] == ["'=cmd()", "'+1", "'-1", "'@x", "'\tx", "on"]
    assert {r["R"] for r in rows} == {"-0.5"}


def test_the_results_lie_beside_the_predictions_by_default(words, tmp_path):
    main(words)
    assert (tmp_path / "score-sgg" / "metrics.json").is_file()


def test_against_prints_the_paired_test(words, tmp_path, capsys):
    """The other predictions have no relations: .5 more, in five of ten images; p is about 2 / 2^5."""
    main([*words, f"against={tmp_path / 'worse.jsonl'}"])
    against = json.loads((tmp_path / "score-sgg" / "metrics.json").read_text())["against"]
    test = against["tests"]["R@20"]
    assert test["difference"] == pytest.approx(0.5)
    assert test["p"] == pytest.approx(2 / 32, abs=0.02)
    said = capsys.readouterr().out
    assert "paired permutation test" in said
    assert against["verdict"] in said
    assert against["verdict"].startswith(
        "No difference between said.jsonl and worse.jsonl that 10 images can show: "
    )
    assert not against["is_real"]
    assert against["predicates"] == [{"predicate": "near", "gold": 10, "before": 0, "after": 5}]
    assert {k: n for k, n in against["images_by_change"].items() if n} == {
        "fixed": 5,
        "both_wrong": 4,
        "malformed": 1,
    }
    lines = (tmp_path / "score-sgg" / "flips.jsonl").read_text().splitlines()
    flips = [json.loads(line) for line in lines]
    assert [flip["image_id"] for flip in flips] == ["2", "4", "5", "7", "8"]
    assert flips[0] == {
        "image_id": "2",
        "change": "fixed",
        "gold": 1,
        "before": 0,
        "after": 1,
        "gained": ["man near dog"],
        "lost": [],
    }


def test_processes_change_no_number(words, monkeypatch):
    config = compose_config(["stage=eval", *words[1:]])
    gold = prepare(gold_data(config), "eval", Path(config.paths.cache), True)
    predictions = read_predictions(Path(words[0]))
    whole = score_split(config, predictions, gold)
    monkeypatch.setattr(module, "CHUNK", 3)
    config.data.workers = 2
    assert score_split(config, predictions, gold).content == whole.content
    assert score_split(config, predictions, gold).failures == whole.failures


def test_a_run_folder_brings_its_own_config(words, tmp_path, capsys):
    from sgg.config.frozen import FROZEN_NAME, write_frozen

    config = compose_config(["stage=eval", *words[1:]])
    run = tmp_path / "run"
    run.mkdir()
    write_frozen(config, run / FROZEN_NAME)
    lines = [json.loads(x) for x in (tmp_path / "said.jsonl").open()]
    rows = [{"image_id": r.pop("image_id"), "index": 0, "text": json.dumps(r)} for r in lines]
    (run / "completions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    main([str(run)])
    assert json.loads((run / "score-sgg" / "metrics.json").read_text())["images"] == 10
    main([str(run), "protocol=sgbench", "protocol.cutoffs=[5]", "data.eval.limit=10"])
    content = json.loads((run / "score-sgbench" / "metrics.json").read_text())
    assert "R@5" in content["metrics"]
    with pytest.raises(SggError, match="not in the"):
        main([str(run), "data.eval.limit=3"])


def test_wrong_words(words):
    with pytest.raises(SggError, match="data=shapes: no such file or folder"):
        main(["data=shapes"])
    with pytest.raises(SggError, match="sgdet must be among them"):
        main([*words, "protocol.modes=[phrdet]"])
    with pytest.raises(SggError, match=r"protocol\.zero_shot"):
        main([*words, "protocol.zero_shot=/nowhere.json"])
