"""What a run says about its split: in its log, in data.json and in its HTML report."""

from __future__ import annotations

import json
import logging

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.data.prepare import prepare
from sgg.data.summary import report_split
from sgg.report.data_summary import summary
from sgg.report.page import write_report
from sgg.runs.folder import DATA

OBJECTS = [{"id": "man.1", "bbox": [10, 10, 50, 60]}, {"id": "<b>.2", "bbox": [40, 30, 90, 70]}]
NEAR = [{"subject": "man.1", "predicate": "near", "object": "<b>.2"}]


@pytest.fixture
def folder(tmp_path):
    """Four lines, two of them without an image; both splits read the same file."""
    root = tmp_path / "set"
    root.mkdir()
    rows = [
        {"image": f"{n}.png", "width": 100, "height": 80, "objects": OBJECTS, "relationships": NEAR}
        for n in "abcd"
    ]
    (root / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number, name in enumerate("ab"):
        Image.new("RGB", (100, 80), (number, 0, 0)).save(root / f"{name}.png")
    return root


def told(folder, tmp_path, *words, split="train"):
    """The run folder after its start."""
    words = ["data=jsonl", f"data.root={folder}", f"paths.cache={tmp_path}/cache", *words]
    config = compose_config(words)
    run_dir = tmp_path / "run"
    run_dir.mkdir(exist_ok=True)
    write_frozen(config, run_dir / FROZEN_NAME)
    prepared = prepare(config.data, split, tmp_path / "cache", quiet=True)
    report_split(config, split, prepared, run_dir)
    return run_dir, prepared


SHARED = "2 of 2 eval images are train images: 2 by their content."
LOST = "data.train: 2 of 4 images were lost (50%). "
LOST += "no_image: 2 (its file is missing; image dropped), first c, d."


def test_warnings_are_logged_kept_and_shown(folder, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "sgg"):
        run_dir, prepared = told(folder, tmp_path)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == f"Warning: {LOST}"
    assert messages[-1].startswith(f"Warning: {SHARED}")
    kept = json.loads((run_dir / DATA).read_text())
    assert kept["split"] == "train"
    assert kept["report"] == prepared.report
    assert [f"Warning: {sentence}" for sentence in kept["warnings"]] == messages
    page = write_report([run_dir]).read_text()
    assert "<h2>Data</h2>" in page
    assert f'<p class="miss">Warning: {LOST}</p>' in page
    assert SHARED in page
    assert "<td>images</td><td>4</td><td>2</td>" in page
    assert "<td>no_image</td><td>2</td>" in page


def test_a_sound_split_warns_of_nothing(folder, tmp_path, caplog):
    words = ["data.train.limit=1", "data.eval.offset=1", "data.eval.limit=1"]
    with caplog.at_level(logging.WARNING, "sgg"):
        run_dir, prepared = told(folder, tmp_path, *words)
    assert not caplog.records
    page = write_report([run_dir]).read_text()
    assert "Nothing is wrong." in page
    assert 'class="miss">Warning' not in page
    assert "Warning" not in summary("train", prepared)


def test_an_evaluation_of_the_train_split_is_not_told_that_it_is_that(folder, tmp_path):
    run_dir, _ = told(folder, tmp_path, "stage=eval", "stage.split=train")
    assert SHARED not in (run_dir / DATA).read_text()
    run_dir, _ = told(folder, tmp_path, "stage=eval", split="eval")
    assert SHARED in (run_dir / DATA).read_text()


def test_warnings_stand_before_the_tables(folder, tmp_path):
    _, prepared = told(folder, tmp_path)
    assert summary("train", prepared).startswith(f"**Warning:** {LOST}\n\n")
