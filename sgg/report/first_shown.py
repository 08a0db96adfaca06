"""Which runs a page about several shows first, and why these, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sgg.evaluation.score import RECALL
from sgg.report.content.baseline import is_control
from sgg.report.content.evaluations import Evaluation
from sgg.report.scored_runs import ScoredRun
from sgg.report.sweep_summary import Group, SweepSummary


@dataclass(frozen=True)
class FirstShown:
    """Runs by their labels, the best one first."""

    runs: list[str] = field(default_factory=list)
    """Empty where none is the best, as in one pipeline."""
    why: str = ""
    """Why the first one, such as `the best seed of reward=balanced`."""
    highest: str = ""
    """A sentence about the run that finds most, where that is another one."""
    beside: str = ""
    """What the second one is to the first; empty where it is not what a reader would compare that with."""

    @property
    def best(self) -> str:
        """The first one; empty without runs."""
        return self.runs[0] if self.runs else ""

    @property
    def partner(self) -> str:
        """The run of the same seed of another configuration; empty where there is none."""
        return self.runs[1] if self.beside else ""

    @property
    def note(self) -> str:
        """A sentence for the reader; empty without runs."""
        return self._sentences("")

    @property
    def note_on_both(self) -> str:
        """The sentence where both runs stand beside each other."""
        return self._sentences(f"; beside {self.partner}, {self.beside}" if self.beside else "")

    def _sentences(self, beside: str) -> str:
        first = f"At first: {self.best}, {self.why}{beside}." if self.runs else ""
        return f"{first} {self.highest}".strip()


def first_of_summary(summary: SweepSummary) -> FirstShown:
    """Runs of the best configuration, the best run first, each followed by its partner.

    Partners are runs of the same seed of the baseline or, where this is the best, of the next best one.
    """
    groups = summary.best(RECALL)
    if not groups:
        return FirstShown()
    best = groups[0]
    scored = sorted(_scored(best), key=_recall_of, reverse=True)
    why = "the configuration with the highest triplet recall"
    if len(scored) > 1:
        why = f"the best seed of {summary.title(best)}, {why}"
    other = _compared_with(summary, best)
    partners = {run.seed: run.name for run in _scored(other)} if other else {}
    names: list[str] = []
    for run in scored:
        names += [run.name, *([partners.pop(run.seed)] if run.seed in partners else [])]
    is_paired = other is not None and any(run.seed == scored[0].seed for run in _scored(other))
    beside = f"the same seed of {summary.title(other)}" if other and is_paired else ""
    return FirstShown([*names, *partners.values()], why, _highest(summary, scored[0]), beside)


def _highest(summary: SweepSummary, shown: ScoredRun) -> str:
    runs = [run for g in summary.groups if not g.is_control for run in _scored(g)]
    highest = max(runs, key=_recall_of)
    most, less = _recall_of(highest), _recall_of(shown)
    if most <= less:
        return ""
    return f"Of single runs {highest.name} has the highest triplet recall, {most:.3f} beside {less:.3f}."


def _compared_with(summary: SweepSummary, best: Group) -> Group | None:
    others = [
        g
        for g in summary.groups
        if g is not best and g.step == best.step and RECALL in g.values and not g.is_control
    ]
    baseline = [g for g in others if g.label == summary.baseline]
    return max(baseline or others, key=lambda g: g.values[RECALL].mean, default=None)


def _scored(group: Group) -> list[ScoredRun]:
    return [run for run in group.runs if run.metrics is not None]


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
