"""Which configuration each run with curves belongs to, so that all plots give it the same colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sgg.report.content.run import RunContent
from sgg.report.sweep_summary import Group, SweepSummary


def curve_groups(runs: Sequence[RunContent], summary: SweepSummary | None) -> dict[str, str]:
    """Configuration by a run's label, as the summary calls it.

    A training belongs to what was evaluated of its point, or of its model; one that several configurations
    share, or none, has no entry.
    """
    if summary is None:
        return {}
    found = {}
    for run in runs:
        groups = [group for group in summary.groups if _holds(group, run)]
        # several evaluations of one training have several titles, but one label
        for names in ((summary.title(g) for g in groups), (g.label for g in groups)):
            if name := _only(names):
                found[run.label] = name
                break
    return found


def _holds(group: Group, run: RunContent) -> bool:
    if run.point:  # also where its evaluation has not begun, or has failed
        return any(scored.name.partition("/")[0] == run.point for scored in group.runs)
    folder = run.config.paths.run_dir
    return any(made.paths.run_dir == folder for scored in group.runs for made in scored.made)


def _only(names: Iterable[str]) -> str:
    different = set(names)
    return different.pop() if len(different) == 1 else ""
