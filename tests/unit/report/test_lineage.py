"""Configs behind an evaluation: which trainings, which configuration, what two of them differ in."""

from __future__ import annotations

from sgg.config.compose import compose_config
from sgg.report.lineage import changes, identity, trainings


def run(stage, model, folder, *words):
    return compose_config(
        [f"stage={stage}", f"model.path={model}", f"paths.run_dir={folder}", *words]
    )


def pipeline(name, *words):
    """Evaluation, GRPO, SFT: the last one first."""
    sft = run("sft", "base", f"{name}/sft", *words)
    grpo = run("grpo", f"{name}/sft", f"{name}/grpo", *words)
    return [run("eval", f"{name}/grpo", f"{name}/eval", *words), grpo, sft]


def test_trainings_are_followed_to_the_first_known_one():
    evaluation, grpo, sft = pipeline("a")
    by_folder = {config.paths.run_dir: config for config in (grpo, sft)}
    assert trainings(evaluation, by_folder) == [grpo, sft]
    assert trainings(evaluation, {"a/grpo": grpo}) == [grpo]
    assert trainings(run("eval", "a/grpo/best", "e"), by_folder) == [grpo, sft]
    assert trainings(run("eval", "a", "e"), {"a": run("sft", "a", "a")}) == [run("sft", "a", "a")]


def test_pipelines_that_differ_by_their_place_and_seed_are_one_configuration():
    one = identity(pipeline("a", "seed=0", "reward=balanced"))
    assert identity(pipeline("b", "seed=1", "reward=balanced")) == one
    assert identity(pipeline("b", "seed=1", "reward=hard_recall")) != one
    assert identity(pipeline("b", "seed=1", "reward=balanced")[:1]) != one, "trained elsewhere"


def test_changes_are_those_of_keys_that_each_stage_reads():
    """GRPO alone reads the reward; evaluation alone the protocol."""
    found = changes(pipeline("a", "reward=balanced"), pipeline("b", "reward=hard_recall"))
    assert {key.partition(".")[0] for key in found} == {"grpo: reward"}
    assert found["grpo: reward.similarity"] == ("table", "exact")
    ious = [pipeline("a", f"protocol.iou_threshold={v}") for v in (0.5, 0.3)]
    assert changes(*ious) == {"protocol.iou_threshold": (0.5, 0.3)}


def test_a_model_of_other_stages_is_told_by_its_path():
    evaluation = run("eval", "base", "a/eval")
    assert changes([evaluation], pipeline("a")) == {"model.path": ("base", "a/grpo")}
