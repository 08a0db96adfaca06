"""The best checkpoint: it is never rotated away, and `model.path=RUN_DIR/best` names it."""

import json
import shutil

import pytest

from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.models.weights import locate
from sgg.runs.checkpoint import checkpoints, mark_complete, prune
from sgg.runs.folder import run_of

MODEL = locate("tiny_qwen2_5_vl")


def best(run_dir, name):
    record = {"metric": "R", "step": 1, "value": 0.5, "images": 2, "protocol": "sgg"}
    (run_dir / "best.json").write_text(json.dumps(record | {"checkpoint": name}))


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / FROZEN_NAME).write_text("")
    for step in (1, 2, 3, 4):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        mark_complete(folder)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "kept"),
    [(None, [3, 4]), ("checkpoint-1", [1, 3, 4]), ("checkpoint-4", [3, 4])],
)
def test_rotation_leaves_the_best_one(run_dir, named, kept):
    if named is not None:
        best(run_dir, named)
    prune(run_dir, 2)
    assert [int(folder.name.rpartition("-")[2]) for folder in checkpoints(run_dir)] == kept


def test_best_of_a_run_names_its_checkpoint(run_dir):
    best(run_dir, "checkpoint-2")
    shutil.rmtree(run_dir / "checkpoint-2")
    shutil.copytree(MODEL, run_dir / "checkpoint-2")
    assert locate(f"{run_dir}/best") == run_dir / "checkpoint-2"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "keeps no best checkpoint. Train with stage.evaluate.every_steps=N"),
        ("checkpoint-9", "checkpoint-9, the best one by R, is no longer in"),
        ("../checkpoint-1", "is no name of a step"),
    ],
)
def test_what_is_not_there_is_told(run_dir, named, said):
    if named is not None:
        best(run_dir, named)
    with pytest.raises(SggError, match=said):
        locate(f"{run_dir}/best")


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("r/best", "r"),
        ("r/best/", "r"),
        ("r", "r"),
        ("r/", "r/"),
        ("best", "best"),
        ("r/a.best", "r/a.best"),
    ],
)
def test_the_run_of_a_best_checkpoint(path, run):
    assert run_of(path) == run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ('{"metric": "R"}', "not of the form that sgg writes"),
        ('{"metric": "R", "step": 1', "no JSON"),
    ],
)
def test_a_damaged_best_file_names_itself_and_the_way_out(run_dir, text, said):
    (run_dir / "best.json").write_text(text)
    with pytest.raises(SggError, match=rf"best\.json: {said}.*Remove it: .*checkpoint-N"):
        locate(f"{run_dir}/best")
