"""The pairs of runs of which the page counts changed images, by what the two runs differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgg.report.content.summary import ChangeRow
from sgg.report.scored_runs import ScoredRun
from sgg.report.sweep_summary import Group, SweepSummary

SAME_SEED = "Configurations at the same seed"
OTHER_SEED = "Configurations at different seeds"
OTHER = "Other pairs"
STEPS = "Steps of one configuration"
SEEDS = "Seeds of one configuration: how much chance alone changes"


@dataclass(frozen=True)
class ChangeGroup:
    """Pairs that differ in the same."""

    title: str
    """Empty where all pairs are of one pipeline."""
    rows: list[ChangeRow]


def change_groups(rows: Sequence[ChangeRow], summary: SweepSummary | None) -> list[ChangeGroup]:
    """The pairs under their titles; what tells of configurations first, and of chance last."""
    if summary is None:
        return [ChangeGroup("", list(rows))] if rows else []
    known = {run.name: (group, run) for group in summary.groups for run in group.runs}
    titles = (SAME_SEED, OTHER_SEED, STEPS, OTHER, SEEDS)
    found: dict[str, list[ChangeRow]] = {title: [] for title in titles}
    for row in rows:
        found[_title(known.get(row.label), known.get(row.baseline))].append(row)
    return [ChangeGroup(title, of_title) for title, of_title in found.items() if of_title]


def _title(one: tuple[Group, ScoredRun] | None, other: tuple[Group, ScoredRun] | None) -> str:
    if one is None or other is None:  # a folder that was given twice is in the summary once
        return OTHER
    (mine, run), (theirs, before) = one, other
    if mine is theirs:
        return SEEDS
    if mine.label == theirs.label and run.step != before.step:
        return STEPS
    return SAME_SEED if run.seed == before.seed else OTHER_SEED
