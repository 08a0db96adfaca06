"""A sweep, or several runs, by configuration: what the page shows of a `SweepSummary`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sgg.evaluation.verdict import p_value, signed
from sgg.report.baseline_test import BaselineTest
from sgg.report.content.curves import OTHER_REWARDS, rewards_differ
from sgg.report.content.summary import Verdict
from sgg.report.html import Html, render
from sgg.report.scored_runs import SEED
from sgg.report.sweep_summary import Group, SweepSummary, Value, runs_summary
from sgg.runs.folder import SWEEP
from sgg.tracking.names import TOTAL_REWARD

_MANY = 200
"""Characters of a value in a table of differences."""
_WIDE = 100
"""Ratio of the largest to the smallest number above which an override's axis is logarithmic."""


def summary_of(folders: Sequence[Path], baseline: str) -> SweepSummary | None:
    """By configuration: of a sweep, or of several runs; None for one run or pipeline, and of several sweeps.

    Raises:
        SggError: no or more than one point is such a baseline, or a file is damaged.

    """
    sweeps = [folder for folder in folders if (folder / SWEEP).is_file()]
    if len(folders) == 1 and not sweeps:
        return None
    return None if sweeps and len(folders) > 1 else runs_summary(folders, baseline)


def sweep_verdicts(summary: SweepSummary) -> list[Verdict]:
    """One sentence for each configuration but the baseline; the best one first."""
    found = []
    for group in sorted(summary.groups, key=_recall, reverse=True):
        if group.test is not None:
            found.append(Verdict(summary.verdict(group), group.test.is_real))
    return found


def sweep_section(summary: SweepSummary) -> Html:
    """Table, parallel coordinates, differences of configs, and commands."""
    shown = [metric for metric in summary.columns if _has(summary, metric)]
    best = {metric: [id(g) for g in summary.bold(metric)] for metric in shown}
    has_other_rewards = TOTAL_REWARD in best and _rewards_differ(summary)
    if has_other_rewards:
        best[TOTAL_REWARD] = []
    metrics = sorted(best, key=lambda metric: metric != "R")  # what decides stands first
    return render(
        "sweep.html",
        keys=summary.keys,
        has_steps=summary.has_steps,
        metrics=[
            summary.columns[m] + (" ↓" if m in summary.lower_is_better else "") for m in metrics
        ],
        of_trainings=summary.of_trainings,
        note=OTHER_REWARDS if has_other_rewards else "",
        rows=[_row(group, summary, metrics, best) for group in summary.groups],
        baseline=summary.baseline,
        differences=[
            {"title": summary.title(group), "rows": [*_changes(group)]}
            for group in summary.groups
            if group.changes
        ],
        commands=[*_commands(summary)],
    )


def parallel(summary: SweepSummary) -> dict[str, Any]:
    """Axes and lines of parallel coordinates; empty for fewer than two evaluations with results."""
    lines = summary.lines()
    if len(lines) < 2:
        return {}
    names = {**{key: key for key in summary.keys}, SEED: SEED, **summary.columns}
    axes = []
    for key, label in names.items():
        if len({str(line.get(key)) for line in lines}) < 2:
            continue
        known = [line for line in lines if key in line]
        numbers = [] if key == SEED else _numbers([line[key] for line in known])
        for line, number in zip(known if numbers else [], numbers, strict=True):
            line[key] = number
        is_log = key in summary.keys and _is_wide(numbers)
        axes.append(
            {
                "key": key,
                "label": label,
                "is_number": bool(numbers),
                "is_log": is_log,
                "is_lower_better": key in summary.lower_is_better,
            }
        )
    return {"axes": axes, "lines": lines} if len(axes) > 1 else {}


def _numbers(values: Sequence[str | float]) -> list[float]:
    """The values as numbers; none where one of them is no finite number."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def _is_wide(numbers: Sequence[float]) -> bool:
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) > _WIDE


def _rewards_differ(summary: SweepSummary) -> bool:
    runs = [run for group in summary.groups for run in group.runs if TOTAL_REWARD in run.values]
    return rewards_differ([run.config for run in runs if run.config is not None])


def _has(summary: SweepSummary, metric: str) -> bool:
    return any(metric in group.values for group in summary.groups)


def _recall(group: Group) -> float:
    return group.values["R"].mean if "R" in group.values else -1.0


def _row(
    group: Group, summary: SweepSummary, metrics: Sequence[str], best: dict[str, list[int]]
) -> dict[str, Any]:
    scored = [run for run in group.runs if run.values]
    test = group.test
    row: dict[str, Any] = {
        "label": group.label,
        "overrides": [group.overrides.get(key, "") for key in summary.keys],
        "step": group.step,
        "scored": len(scored),
        "seeds": f"{len(scored)} of {len(group.runs)}"
        if len(scored) < len(group.runs)
        else len(scored),
        "cells": [
            _cell(group.values.get(metric), id(group) in best[metric], metric == "R")
            for metric in metrics
        ],
        "states": ", ".join(
            dict.fromkeys(
                f"{r.name}: {r.state} {r.reason}".strip() for r in group.runs if not r.values
            )
        ),
        "difference": None,
        "text": group.untested or ("baseline" if group.label == summary.baseline else "–"),
    }
    if test is not None:
        row |= {
            "difference": test.difference,
            "is_real": test.is_real,
            "text": f"{signed(test.difference)} {'✓ real' if test.is_real else '≈ unclear'}",
            "detail": f"images [{signed(test.low)}, {signed(test.high)}], {p_value(test.p_holm)}",
            "over_seeds": ", ".join(part for part in (_over_seeds(test), test.scope) if part),
        }
    return row


def _over_seeds(test: BaselineTest) -> str:
    if test.over_seeds is None:
        return ""
    low, high = map(signed, test.over_seeds)
    return f"seeds [{low}, {high}]"


def _cell(value: Value | None, is_best: bool, with_bar: bool) -> dict[str, Any] | None:
    if value is None:
        return None
    low, high = (
        None if end is None else min(max(end, 0.0), 1.0) for end in (value.low, value.high)
    )
    return {
        "mean": value.mean,
        "low": value.low,
        "high": value.high,
        "bar": (value.mean, low, high) if with_bar else None,
        "is_best": is_best,
    }


def _changes(group: Group) -> Iterator[tuple[str, str, str]]:
    for key, (theirs, ours) in group.changes.items():
        yield key, str(theirs)[:_MANY], str(ours)[:_MANY]


def _commands(summary: SweepSummary) -> Iterator[dict[str, str]]:
    for group in summary.groups:
        for run in group.runs:
            if run.repeat is not None:
                yield {
                    "run": run.name,
                    "command": run.repeat.command,
                    "left_out": run.repeat.left_out,
                }
