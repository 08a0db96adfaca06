"""The predicates of which least is found, on the first screen: by configuration, or of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgg.evaluation.score import RECALL
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.predicates import PredicateRow, predicate_rows, worst
from sgg.report.content.summary import filter_of
from sgg.report.sweep_summary import Group, SweepSummary
from sgg.report.view import View

COLUMNS = 4
"""Configurations beside each other."""


@dataclass(frozen=True)
class Column:
    """A configuration, or one run."""

    title: str
    runs: list[int]
    """Places of its evaluations."""


def configurations(summary: SweepSummary, runs: Sequence[Evaluation]) -> tuple[list[Column], int]:
    """The configurations of the table, and how many there are.

    Of too many, those that find most and the baseline. A control, which finds what chance finds, is none.
    """
    places = {run.run.label: place for place, run in enumerate(runs) if run.scored}
    found = [
        g for g in summary.groups if not g.is_control and any(r.name in places for r in g.runs)
    ]
    by_recall = sorted(found, key=_recall, reverse=True)
    baseline = [g for g in by_recall if g.label == summary.baseline][:1]
    others = [g for g in by_recall if not any(g is b for b in baseline)]
    kept = [*others[: COLUMNS - len(baseline)], *baseline]
    return [
        Column(summary.title(g), [places[r.name] for r in g.runs if r.name in places])
        for g in by_recall
        if any(g is k for k in kept)
    ], len(found)


def add_worst(
    view: View,
    runs: Sequence[Evaluation],
    summary: SweepSummary | None,
    focus: str,
    place: int,
) -> None:
    """Put the table on the page.

    Args:
        view: what is added to.
        runs: all that are compared, scored.
        summary: by configuration; None for one pipeline, of which the table has one run.
        focus: label of the run that the gallery shows first, whose misses the table opens.
        place: of this run in the gallery.

    """
    labels = [run.run.label for run in runs]
    rows = predicate_rows([run.scored for run in runs if run.scored])
    columns, total = configurations(summary, runs) if summary else ([], 0)
    if columns:
        view.worst_caption = "Predicates of which least is found"
        several = any(len(column.runs) > 1 for column in columns)
        notes = ["Recall: mean over seeds, from the lowest to the highest seed."] if several else []
        if len(columns) > 1:
            notes.append("Rows are in the order of the mean of the columns.")
        if len(columns) < total:
            notes.append(
                f"{len(columns)} of {total} configurations: the best ones and the baseline."
            )
        view.worst_note = " ".join([*notes, f"Misses: those of {focus}."])
    else:
        columns = [Column("", [labels.index(focus)])]
        view.worst_caption = f"Predicates that {focus} finds least of"
    view.worst_columns = [column.title for column in columns]
    view.worst = [
        {
            "name": row.name,
            "gold": row.gold,
            "cells": [_cell(row, column.runs) for column in columns],
            "filter": filter_of(place, missed=row.name, order="worst"),
        }
        for row in worst(rows, [column.runs for column in columns])
    ]


def _recall(group: Group) -> float:
    return group.values[RECALL].mean if RECALL in group.values else -1.0


def _cell(row: PredicateRow, runs: Sequence[int]) -> dict[str, Any]:
    recalls = [row.recall(run) for run in runs]
    hits = sum(row.hits[run] for run in runs) / len(runs)
    several = len(runs) > 1
    return {
        "found": f"{hits:.1f}".removesuffix(".0"),
        "recall": row.mean_recall(runs),
        "low": min(recalls) if several else None,
        "high": max(recalls) if several else None,
    }
