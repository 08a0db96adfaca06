"""The curves of training runs: which numbers are drawn, in which order, and how many points of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sgg.config.schema import Config
from sgg.report.content.run import RunContent
from sgg.runs.progress import Curve
from sgg.tracking.names import EVALUATED, EVALUATED_STEP, FAILED, TOTAL_REWARD, entry_of

POINTS = 500
"""Points of one curve in a page; longer ones are means of neighbours."""
OTHER_REWARDS = "The runs have different rewards: their totals cannot be compared."
_TOTAL = TOTAL_REWARD.removesuffix("mean")
_LARGEST = 1e100
_LEFT_OUT = (
    *("loss_mean", "epoch", "tokens", "clip_ratio", "speed/operations", "speed/evaluation_share"),
    EVALUATED_STEP,
)
_FIRST = (
    TOTAL_REWARD,
    "loss",
    *EVALUATED,
    "token_accuracy",
    FAILED,
    "completion/length/mean",
)
"""What is shown first, in this order; then the terms of the reward; the others are folded."""


@dataclass(frozen=True)
class Chart:
    """One number of several runs."""

    name: str
    """As it is logged; of several stages with the stage behind it."""
    unit: str
    meaning: str
    group: str
    """`main`, `reward terms` or `more`."""
    lines: list[dict[str, Any]]
    """`run` (label), `group` (its configuration), `seed`, `x` (steps) and `y` (values), of equal length."""
    note: str = ""
    """What has to be known before heights are compared."""


def charts(runs: Sequence[RunContent], groups: Mapping[str, str] | None = None) -> list[Chart]:
    """A chart for every logged number that varies in at least one run, the telling ones first.

    Args:
        runs: with curves.
        groups: configuration by a run's label; a run that has none is one by itself.

    """
    stages: dict[str, list[RunContent]] = {}
    for run in runs:
        stages.setdefault(run.config.stage.name.name, []).append(run)
    found = [
        chart
        for members in stages.values()
        for chart in _of_stage(members, len(stages) > 1, groups or {})
    ]
    return sorted(found, key=lambda chart: _rank(chart.name.partition(" (")[0]))


def _of_stage(
    runs: Sequence[RunContent], with_stage: bool, groups: Mapping[str, str]
) -> Iterator[Chart]:
    names = {name for run in runs for row in run.curves for name in row if name != "step"}
    behind = f" ({runs[0].config.stage.name.name})" if with_stage else ""
    for name in (n for n in names if not n.startswith(_LEFT_OUT)):
        lines, drawn = [], []
        for run in runs:
            points = _points(run.curves, name)
            if len(points) > 1:
                xs, ys = _thinned(points)
                names_of_run = {"run": run.label, "group": groups.get(run.label, run.label)}
                lines.append({**names_of_run, "seed": str(run.config.seed), "x": xs, "y": ys})
                drawn.append(run)
        if any(len({*line["y"]}) > 1 for line in lines):
            entry = entry_of(name)
            unit, meaning = (entry.unit, entry.meaning) if entry else ("", "")
            yield Chart(f"{name}{behind}", unit, meaning, _group(name), lines, _note(name, drawn))


def _note(name: str, runs: Sequence[RunContent]) -> str:
    """A total of other terms or weights is another number, and no run wins by it."""
    if not name.startswith(_TOTAL):
        return ""
    return OTHER_REWARDS if rewards_differ([run.config for run in runs]) else ""


def rewards_differ(configs: Sequence[Config]) -> bool:
    """Whether the same completion may have another total reward in one run than in another."""
    rewards = [replace(config.reward, workers=0) for config in configs]
    return any(reward != rewards[0] for reward in rewards)


def _rank(name: str) -> tuple[int, int, str]:
    order = {"main": 0, "reward terms": 1, "more": 2}[_group(name)]
    return order, _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def _group(name: str) -> str:
    if name in _FIRST:
        return "main"
    is_term = name.startswith("reward/") and name.endswith("/mean")
    return "reward terms" if is_term else "more"


def _points(rows: Sequence[Curve], name: str) -> list[tuple[float, float]]:
    pairs = ((_number(row, "step"), _number(row, name)) for row in rows)
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _number(row: Curve, name: str) -> float | None:
    """A number that can be drawn; None where it was not logged, or is "nan" or the like."""
    value = row.get(name, "")
    return float(value) if not isinstance(value, str) and abs(value) < _LARGEST else None


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Steps and values, by means of neighbours where there are more than `POINTS`."""
    size = -(-len(points) // POINTS)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    xs = [part[-1][0] for part in parts]
    ys = [sum(y for _, y in part) / len(part) for part in parts]
    return xs, [float(f"{y:.5g}") for y in ys]
