"""Curves of a report: which numbers are drawn, in which order, with which unit, and how many points."""

from __future__ import annotations

import pytest

from sgg.config.compose import compose_config
from sgg.report.content.curves import POINTS, charts, unit_of
from sgg.report.content.run import RunContent

CONFIGS = {stage: compose_config([f"stage={stage}"]) for stage in ("sft", "grpo")}


def run(label, rows, stage="grpo"):
    return RunContent(label, None, "", CONFIGS[stage], "", curves=rows)


def test_the_telling_numbers_come_first_and_bookkeeping_is_left_out():
    names = ["zeta", "entropy", "rewards/x", "completion/failed", "completion/a", "loss", "reward"]
    names += ["epoch", "num_tokens", "train_loss", "total_flos", "clip_ratio/low", "grad_norm"]
    rows = [{"step": step, **dict.fromkeys(names, step * 0.5)} for step in (1, 2)]
    found = charts([run("a", rows)])
    main = ["reward", "loss", "completion/failed"]
    more = ["completion/a", "entropy", "grad_norm", "zeta"]
    assert [c.name for c in found] == [*main, "rewards/x", *more]
    assert [c.group for c in found] == [*["main"] * 3, "reward terms", *["more"] * 4]


def test_only_numbers_that_vary_are_drawn_from_the_rows_that_have_them():
    rows = [
        {"step": 1, "loss": 3.0, "flat": 1.0, "once": 7.0, "bad": "nan"},
        {"step": 2, "flat": 1.0, "bad": 1e300},
        {"step": 4, "loss": 1.0, "flat": 1.0, "bad": 1.0},
    ]
    [chart] = charts([run("a", rows)])
    assert chart.lines == [{"run": "a", "x": [1, 4], "y": [3.0, 1.0]}]
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


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("reward", "weighted sum of the terms"),
        ("rewards/edge_hard/mean", "value of the term"),
        ("rewards/edge_hard/std", "standard deviation"),
        ("completions/mean_length", "tokens"),
        ("completion/failed", "share of completions"),
        ("step_time", "seconds a step"),
        ("zeta", ""),
    ],
)
def test_units(name, unit):
    assert unit_of(name) == unit
