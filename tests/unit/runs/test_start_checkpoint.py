"""A run that starts from a training that goes on stays with the checkpoint that it began with."""

import json
import shutil

import pytest

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.errors import SggError
from sgg.models.weights import locate
from sgg.runs.checkpoint import mark_complete
from sgg.runs.open_run import open_run
from sgg.runs.start_checkpoint import lasting_path

MODEL = locate("tiny_qwen2_5_vl")


def save(run_dir, name):
    shutil.copytree(MODEL, run_dir / name)
    mark_complete(run_dir / name)


def name_best(run_dir, step):
    record = {"metric": "R", "step": step, "value": 0.5, "images": 2, "protocol": "sgg"}
    record["checkpoint"] = f"checkpoint-{step}"
    (run_dir / "best.json").write_text(json.dumps(record))


@pytest.fixture
def training(tmp_path):
    """A run that has not ended: its best checkpoint is the first of two."""
    run_dir = tmp_path / "training"
    run_dir.mkdir()
    (run_dir / FROZEN_NAME).write_text("")
    save(run_dir, "checkpoint-1")
    save(run_dir, "checkpoint-2")
    name_best(run_dir, 1)
    return run_dir


def evaluation(model, folder):
    return compose_config(["stage=eval", f"model.path={model}", f"paths.run_dir={folder}"])


@pytest.mark.parametrize(("pointer", "step"), [("/best", 1), ("/best/", 1), ("", 2)])
def test_the_frozen_config_names_the_checkpoint(training, tmp_path, pointer, step):
    folder = open_run(evaluation(f"{training}{pointer}", tmp_path / "eval"))
    save(training, "checkpoint-3")
    name_best(training, 3)
    frozen = read_frozen(folder / FROZEN_NAME).model.path
    assert frozen == f"{training}/checkpoint-{step}"
    assert locate(frozen) == training / f"checkpoint-{step}"
    assert locate(f"{training}{pointer}") == training / "checkpoint-3"


def test_another_checkpoint_is_another_run(training, tmp_path):
    folder = tmp_path / "eval"
    open_run(evaluation(f"{training}/best", folder))
    open_run(evaluation(f"{training}/best", folder))
    name_best(training, 2)
    with pytest.raises(SggError, match=r"model.path: .*/checkpoint-1 -> .*/checkpoint-2\n"):
        open_run(evaluation(f"{training}/best", folder))


def test_a_checkpoint_that_is_gone_is_told(training):
    shutil.rmtree(training / "checkpoint-1")
    with pytest.raises(
        SggError, match=r"checkpoint-1 is no longer in .*start another one with model"
    ):
        locate(f"{training}/checkpoint-1")


def test_a_finished_training_is_named_as_it_was(training):
    save(training, "model")
    assert lasting_path(f"{training}/best") == f"{training}/best"
    assert lasting_path(str(training)) == str(training)


def test_other_models_are_named_as_they_were(training, tmp_path):
    for path in ("tiny_qwen2_5_vl", "Qwen/Qwen2.5-VL-7B-Instruct", f"{training}/checkpoint-1"):
        assert lasting_path(path) == path
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / FROZEN_NAME).write_text("")
    assert lasting_path(f"{tmp_path}/empty") == f"{tmp_path}/empty"


def test_the_steps_of_a_pipeline_name_what_is_not_made_yet(training, tmp_path):
    """An earlier step that was stopped has checkpoints; its last weights are what the next one takes."""
    folder = open_run(evaluation(training, tmp_path / "eval"), model_is_made=True)
    assert read_frozen(folder / FROZEN_NAME).model.path == str(training)
