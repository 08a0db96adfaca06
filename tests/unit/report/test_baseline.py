"""Which evaluation of a pipeline, of a sweep, or of several runs is compared with which."""

from __future__ import annotations

from sgg.config.compose import compose_config
from sgg.report.content.baseline import baselines, is_control


def evaluation(model, *words):
    return compose_config(["stage=eval", f"model.path={model}", *words])


def test_the_demos_pairs():
    sampled, shuffled = "generate=sampled", "stage.shuffle_images=true"
    configs = [
        evaluation("base"),
        evaluation("sft"),
        evaluation("sft", sampled),
        evaluation("grpo"),
        evaluation("grpo", sampled),
        evaluation("grpo", shuffled),
    ]
    # greedy with greedy, sampled with sampled; the control with what it controls
    assert baselines(configs, {"sft": "base", "grpo": "sft"}) == [None, 0, 0, 1, 2, 3]
    assert [is_control(c) for c in configs] == [False] * 5 + [True]


def test_runs_without_a_common_history_are_compared_with_the_first_that_generates_alike():
    configs = [evaluation("a"), evaluation("b", "generate=sampled"), evaluation("c")]
    assert baselines(configs, {}) == [None, 0, 0]


def test_points_of_a_sweep_are_paired_by_seed():
    configs = [evaluation(f"{m}{s}", f"seed={s}") for m in "ab" for s in (0, 1)]
    trained = {f"{m}{s}": "base" for m in "ab" for s in (0, 1)}
    assert baselines(configs, trained) == [None, 0, 0, 1]


def test_a_history_that_goes_round_ends():
    assert baselines([evaluation("a")], {"a": "b", "b": "a"}) == [None]
