"""Pipelines: composed in any folder, and looked at whole before the first step."""

from pathlib import Path

import pytest

from launchers.local_pipeline import run_pipeline
from sgg.config.argv import assignment
from sgg.config.compose import Composer, compose_config
from sgg.config.model import Init
from sgg.errors import SggError
from sgg.pipeline import plan_steps

WORDS = ["pipeline=sft_grpo_eval"]
FOLDERS = [
    "it's",
    "x(1)",
    "k=v",
    "brack[et]",
    "ümlaut",
    "a,b",
    "back\\slash\\",
    "two words",
]


@pytest.fixture(scope="module")
def composer():
    return Composer()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_pipeline_composes_in_any_folder(name, composer):
    config = composer.compose(WORDS)
    folder = Path("/runs") / name
    sft, grpo, evaluation = plan_steps(config.pipeline, WORDS, folder, composer)
    assert sft.config.paths.run_dir == str(folder / "sft")
    assert sft.config.model.path == config.model.path
    assert grpo.config.model.path == str(folder / "sft")
    assert evaluation.config.model.path == str(folder / "grpo")
    assert evaluation.config.model.init is Init.pretrained


def test_a_step_starts_from_the_best_checkpoint_of_one_that_keeps_it(composer):
    words = [*WORDS, "pipeline.steps.grpo.init_from=sft/best"]
    kept = ["stage.evaluate.every_steps=2", "stage.evaluate.keep_best=R"]
    pipeline = compose_config(words).pipeline
    with pytest.raises(SggError, match=r"init_from=sft/best: sft keeps no best checkpoint"):
        plan_steps(pipeline, WORDS, Path("/runs/p"), composer)
    pipeline.steps["sft"].overrides += kept
    _, grpo, _ = plan_steps(pipeline, WORDS, Path("/runs/p"), composer)
    assert (grpo.init_from, grpo.config.model.path) == ("sft", "/runs/p/sft/best")
    pipeline.steps["grpo"].init_from = "sft/first"
    with pytest.raises(SggError, match=r"init_from=sft/first: no earlier step of that name"):
        plan_steps(pipeline, WORDS, Path("/runs/p"), composer)


@pytest.mark.parametrize("name", [*FOLDERS, "plain", "12", "null", "a'\\'b"])
def test_an_assignment_is_read_back_as_it_is(name, composer):
    assert composer.compose([assignment("paths.run_dir", name)]).paths.run_dir == name


def test_data_of_a_later_step_are_missed_before_the_first(tmp_path):
    folder = tmp_path / "runs"
    words = [*WORDS, f"paths.run_dir={folder}", "data=jsonl", f"data.root={tmp_path}"]
    words += ["data.train.path=there.jsonl", "data.eval.path=missing.jsonl"]
    (tmp_path / "there.jsonl").write_text("")
    with pytest.raises(SggError, match=r"data.eval.path.*missing.jsonl"):
        run_pipeline(compose_config(words), words)
    assert not folder.exists()


@pytest.mark.parametrize("table", [["sft_greedy"], []])
def test_a_step_can_be_taken_out(table, composer, tmp_path):
    words = ["pipeline=demo", "~pipeline.steps.untrained", "~pipeline.steps.control"]
    words.append(f"pipeline.table=[{','.join(table)}]")
    steps = plan_steps(composer.compose(words).pipeline, words, tmp_path, composer)
    left = ["sft", "sft_greedy", "sft_sampled", "grpo", "grpo_greedy", "grpo_sampled"]
    assert [step.name for step in steps] == left


def test_a_table_names_steps_that_there_are(composer, tmp_path):
    words = ["pipeline=demo", "~pipeline.steps.untrained"]
    with pytest.raises(SggError, match=r"table names untrained: no step .* Steps: sft, sft_greedy"):
        plan_steps(composer.compose(words).pipeline, words, tmp_path, composer)
