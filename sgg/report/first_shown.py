"""Which runs a page about several shows first, and why these, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sgg.evaluation.score import RECALL
from sgg.report.content.baseline import is_control
from sgg.report.content.evaluations import Evaluation
from sgg.report.scored_runs import ScoredRun
from sgg.report.sweep_summary import SweepSummary


@dataclass(frozen=True)
class FirstShown:
    """Runs by their labels, the best one first."""

    runs: list[str] = field(default_factory=list)
    """Empty where none is the best, as in one pipeline."""
    why: str = ""
    """Why the first one, such as `the best seed of reward=balanced`."""

    @property
    def note(self) -> str:
        """A sentence for the reader; empty without runs."""
        return f"At first: {self.runs[0]}, {self.why}." if self.runs else ""


def first_of_summary(summary: SweepSummary) -> FirstShown:
    """Runs of the best configuration, the best run first, and of the baseline."""
    best = summary.best(RECALL)
    if not best:
        return FirstShown()
    scored = [run for run in best[0].runs if run.metrics is not None]
    scored.sort(key=_recall_of, reverse=True)
    title = summary.title(best[0])
    several = f"the best seed of {title}, the configuration with the highest triplet recall"
    why = several if len(scored) > 1 else "the configuration with the highest triplet recall"
    of_baseline = [g for g in summary.groups if g.label == summary.baseline and g is not best[0]]
    scored += [run for group in of_baseline for run in group.runs if run.metrics is not None]
    return FirstShown([run.name for run in scored], why)


def first_of_points(runs: Sequence[Evaluation]) -> FirstShown:
    """The evaluation of a sweep's point that finds most; none where no run is of a sweep."""
    found = [
        (run.run.metrics.metrics.get(RECALL, 0.0), run.run.label)
        for run in runs
        if run.run.point and run.run.metrics is not None and not is_control(run.run.config)
    ]
    if not found:
        return FirstShown()
    return FirstShown(
        [max(found, key=lambda one: one[0])[1]], "the run with the highest triplet recall"
    )


def _recall_of(run: ScoredRun) -> float:
    return run.metrics.metrics.get(RECALL, 0.0) if run.metrics is not None else 0.0
