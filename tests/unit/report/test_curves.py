"""Curves of a report: which numbers are drawn, in which order, with which unit, and how many points."""

from __future__ import annotations

from copy import deepcopy

from sgg.config.compose import compose_config
from sgg.report.content.curves import OTHER_REWARDS, POINTS, charts
from sgg.report.content.run import RunContent

CONFIGS = {stage: compose_config([f"stage={stage}"]) for stage in ("sft", "grpo")}


def run(label, rows, stage="grpo"):
    return RunContent(label, None, "", CONFIGS[stage], "", curves=rows)


def test_the_telling_numbers_come_first_and_bookkeeping_is_left_out():
    names = ["zeta", "entropy", "reward/x/mean", "completion/failed", "loss", "reward/total/mean"]
    names += ["epoch", "tokens", "loss_mean", "reward/x/std", "clip_ratio/low", "grad_norm"]
    names += ["eval/step", "eval/R", "eval/R@50"]
    rows = [{"step": step, **dict.fromkeys(names, step * 0.5)} for step in (1, 2)]
    found = charts([run("a", rows)])
    main = ["reward/total/mean", "loss", "eval/R", "completion/failed"]
    more = ["entropy", "eval/R@50", "grad_norm", "reward/x/std", "zeta"]
    assert [c.name for c in found] == [*main, "reward/x/mean", *more]
    assert [c.group for c in found] == [*["main"] * 4, "reward terms", *["more"] * 5]


def test_only_numbers_that_vary_are_drawn_from_the_rows_that_have_them():
    rows = [
        {"step": 1, "loss": 3.0, "flat": 1.0, "once": 7.0, "bad": "nan"},
        {"step": 2, "flat": 1.0, "bad": 1e300},
        {"step": 4, "loss": 1.0, "flat": 1.0, "bad": 1.0},
    ]
    [chart] = charts([run("a", rows)])
    assert chart.lines == [{"run": "a", "group": "a", "seed": "0", "x": [1, 4], "y": [3.0, 1.0]}]
    assert charts([run("a", [])]) == []


def test_runs_of_one_stage_lie_over_each_other_and_stages_do_not():
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}]
    found = charts([run("a", rows), run("b", rows), run("c", rows, "sft")])
    assert {c.name: [line["run"] for line in c.lines] for c in found} == {
        "loss (grpo)": ["a", "b"],
        "loss (sft)": ["c"],
    }


def test_a_long_curve_is_thinned_to_means_of_neighbours():
    rows = [{"step": i, "loss": float(i)} for i in range(1, 2 * POINTS + 1)]
    [chart] = charts([run("a", rows)])
    [line] = chart.lines
    assert line["x"] == list(range(2, 2 * POINTS + 1, 2))
    assert line["y"][:2] == [1.5, 3.5]


def test_units_and_meanings_are_the_tables_of_all_names():
    names = ["reward/edge_hard/mean", "speed/step_s", "zeta"]
    rows = [{"step": step, **dict.fromkeys(names, float(step))} for step in (1, 2)]
    assert [(c.name, c.unit, c.meaning) for c in charts([run("a", rows)])] == [
        ("reward/edge_hard/mean", "reward", "the term, unweighted, mean of all completions"),
        ("speed/step_s", "s", "one optimiser step"),
        ("zeta", "", ""),
    ]


def test_a_line_has_the_configuration_and_the_seed_of_its_run():
    rows = [{"step": step, "loss": float(step)} for step in (1, 2)]
    [chart] = charts([run("a", rows), run("b", rows)], {"b": "reward=balanced"})
    assert [(line["group"], line["seed"]) for line in chart.lines] == [
        ("a", "0"),
        ("reward=balanced", "0"),
    ]


def test_totals_of_different_rewards_are_not_to_be_compared():
    names = ("reward/total/mean", "reward/total/std", "loss")
    rows = [{"step": step, **dict.fromkeys(names, float(step))} for step in (1, 2)]
    equal, other, no_curve = (deepcopy(run(label, rows)) for label in "bcd")
    equal.config.reward.workers = 3
    no_curve.config.reward.terms, no_curve.curves = {}, []
    assert {c.note for c in charts([run("a", rows), equal, no_curve])} == {""}
    next(iter(other.config.reward.terms.values())).weight += 1
    notes = {c.name: c.note for c in charts([run("a", rows), other])}
    assert notes == {**dict.fromkeys(names, OTHER_REWARDS), "loss": ""}
