"""What a report shows of a training's samples: each beside the gold of its own split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.data.prepare import is_prepared, prepare
from sgg.report.content.folders import runs_of
from sgg.report.content.run import read_runs
from sgg.report.content.training import training_of
from sgg.runs.open_run import open_run
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples

OBJECTS = [{"id": "cup.1", "bbox": [0, 0, 30, 30]}, {"id": "table.2", "bbox": [30, 30, 60, 60]}]


@pytest.fixture
def run(tmp_path):
    """A GRPO run of data whose two splits have one image each, both of the id 0; only train is prepared."""
    root = tmp_path / "data"
    root.mkdir()
    for split, predicate in (("train", "beside"), ("eval", "under")):
        Image.new("RGB", (100, 80)).save(root / f"{split}.png")
        relation = {"subject": "cup.1", "predicate": predicate, "object": "table.2"}
        row = {"image": f"{split}.png", "image_id": "0", "objects": OBJECTS}
        (root / f"{split}.jsonl").write_text(json.dumps({**row, "relationships": [relation]}))
    words = ["stage=grpo", "model=tiny_qwen2_vl", "data=jsonl", f"data.root={root}"]
    words += [f"data.{split}.path={split}.jsonl" for split in ("train", "eval")]
    words += [f"paths.run_dir={tmp_path / 'run'}", f"paths.cache={tmp_path / 'cache'}"]
    config = compose_config(words)
    open_run(config)
    prepare(config.data, "train", tmp_path / "cache", quiet=True)
    [run] = read_runs(runs_of([tmp_path / "run"]))[0]
    return run


def shown(run):
    """Kind, steps and gold predicates of each image."""
    found = training_of(run, None)
    return [
        (
            image["kind"],
            [step["step"] for step in image["steps"]],
            image["gold"]["graph"]["a"][0]["l"],
        )
        for image in found.images
    ]


def test_images_of_one_id_are_those_of_their_split(run):
    for step in (1, 2):
        append_samples(run.path, [TrainingSample(step, "0", SampleKind.rotating, "{}")])
        append_samples(run.path, [TrainingSample(step, "0", SampleKind.fixed, "{}")])
    assert shown(run) == [("fixed", [1, 2], "under"), ("rotating", [1, 2], "beside")]


def test_a_split_that_no_sample_is_of_is_not_prepared(run):
    append_samples(run.path, [TrainingSample(1, "0", SampleKind.rotating, "{}")])
    assert shown(run) == [("rotating", [1], "beside")]
    assert not is_prepared(run.config.data, "eval", Path(run.config.paths.cache))


def test_a_split_that_is_not_there_costs_its_samples_alone(run):
    for kind in SampleKind:
        append_samples(run.path, [TrainingSample(1, "0", kind, "{}")])
    (Path(run.config.data.root) / "eval.jsonl").unlink()
    assert shown(run) == [("rotating", [1], "beside")]
    [sentence] = run.left_out
    assert "eval.jsonl" in sentence
