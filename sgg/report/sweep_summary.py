"""What a sweep found: its evaluations by the overrides that differ, seeds pooled, each against a baseline.

Input: the folder of a sweep, or those of several runs. Output: a `SweepSummary` for tables and pages. Reads
files only, so a stranger's sweep is safe to summarise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sgg.errors import SggError, did_you_mean
from sgg.metrics.permutation import holm
from sgg.metrics.seeds import half_width
from sgg.report.baseline_test import BaselineTest, against
from sgg.report.content.baseline import is_control
from sgg.report.lineage import changes, identity
from sgg.report.scored_runs import ScoredRun, runs_of_folders, runs_of_sweep
from sgg.report.sweep_columns import columns, lower_is_better
from sgg.runs.search import SearchRecord, read_search
from sgg.runs.sweep import SWEEP


@dataclass(frozen=True)
class Value:
    """A metric of a group: the mean over its seeds."""

    mean: float
    low: float | None
    high: float | None
    """95 % interval; None where it is not known."""
    seeds: int
    """Evaluations behind it. Of several, the interval is Student's t over seeds; of one, the score interval
    over its images, as metrics.json has it."""


@dataclass(frozen=True)
class Group:
    """Evaluations of one configuration, which differ by their seed alone."""

    label: str
    overrides: dict[str, str]
    """What sets it apart in a sweep: key -> value; empty outside of one."""
    step: str
    runs: list[ScoredRun]
    values: dict[str, Value]
    """By key of the summary's columns; empty where none has results."""
    test: BaselineTest | None
    """Against the baseline; None for the baseline itself, for a control, and where the two cannot be compared
    or are the same model, evaluated alike."""
    untested: str
    """Why it cannot be compared with the baseline, in a few words; else empty."""
    changes: dict[str, tuple[Any, Any]]
    """What differs from the baseline's: key -> (baseline's, its own), see `lineage.changes`."""

    @property
    def is_control(self) -> bool:
        """Whether every prompt has another scene's image."""
        return any(run.config is not None and is_control(run.config) for run in self.runs)


@dataclass(frozen=True)
class SweepSummary:
    """All groups, in the order of the sweep."""

    name: str
    keys: list[str]
    """Overrides that differ, without the seed."""
    groups: list[Group]
    baseline: str
    """Label of the baseline."""
    columns: dict[str, str]
    """Numbers that a table shows: name -> title."""
    lower_is_better: frozenset[str]
    """Of the columns; of the others more is better."""

    @property
    def has_steps(self) -> bool:
        """Whether several steps of each point are evaluated."""
        return len({group.step for group in self.groups}) > 1

    @property
    def verdicts(self) -> list[str]:
        """One sentence a group that is compared, in their order."""
        return [said for group in self.groups if (said := self.verdict(group))]

    def verdict(self, group: Group) -> str:
        """One sentence on a group and the baseline; empty where they are not compared."""
        if group.test is None:
            return ""
        return group.test.verdict(self.title(group), self._title(self.baseline, group.step))

    @property
    def of_trainings(self) -> list[str]:
        """The columns that are last values of trainings, not metrics of evaluations."""
        runs = [run for group in self.groups for run in group.runs if run.metrics is None]
        return [key for key in self.columns if any(key in run.values for run in runs)]

    def title(self, group: Group) -> str:
        """What a group is called in a sentence."""
        return self._title(group.label, group.step)

    def _title(self, label: str, step: str) -> str:
        return f"{label} ({step})" if self.has_steps else label

    def best(self, metric: str) -> list[Group]:
        """The groups with the best value of a metric, as three digits show it; several where they tie.

        Only among those that have the most seeds, so that a failed run makes no group the best; a control is
        not among them.
        """
        sign = -1 if metric in self.lower_is_better else 1
        scored = self._comparable(metric)
        shown = [round(sign * g.values[metric].mean, 3) for g in scored]
        return [g for g, value in zip(scored, shown, strict=True) if value == max(shown)]

    def bold(self, metric: str) -> list[Group]:
        """The best groups; none where all that could be are equal, or there is one."""
        best = self.best(metric)
        return best if len(best) < len(self._comparable(metric)) else []

    def _comparable(self, metric: str) -> list[Group]:
        scored = [g for g in self.groups if metric in g.values and not g.is_control]
        most = max((g.values[metric].seeds for g in scored), default=0)
        return [g for g in scored if g.values[metric].seeds == most]

    def pairs(self) -> dict[str, str]:
        """Name of an evaluation -> that of the baseline's, of its step and, where there is one, its seed."""
        found = {}
        for group in self.groups:
            theirs = [g for g in self.groups if g.label == self.baseline and g.step == group.step]
            if not theirs or theirs[0] is group:
                continue
            by_seed = {run.seed: run.name for run in reversed(theirs[0].runs)}
            for run in group.runs:
                found[run.name] = by_seed.get(run.seed, theirs[0].runs[0].name)
        return found

    def lines(self) -> list[dict[str, str | float]]:
        """One row a run with results, for parallel coordinates: overrides, seed and what the table shows."""
        return [
            {
                "run": run.name,
                "group": self.title(group),
                **group.overrides,
                "seed": run.seed,
                **run.values,
            }
            for group in self.groups
            for run in group.runs
            if run.values
        ]


def sweep_summary(folder: Path, baseline: str = "") -> SweepSummary:
    """What a sweep found.

    Args:
        folder: with sweep.json.
        baseline: name of a point, or overrides such as `reward=balanced` or `reward=a,model=b`; empty for the
            first point.

    Raises:
        SggError: there is no sweep, it has no run, or no or more than one point is such a baseline.

    """
    search = read_search(folder)
    runs = runs_of_sweep(folder, search.objective if search else "")
    return _summary(folder.resolve().name, runs, baseline, search)


def runs_summary(folders: Sequence[Path], baseline: str = "") -> SweepSummary:
    """What several runs found; those with the same config but for the seed are one group.

    Args:
        folders: of runs, pipelines and sweeps; a sweep alone is summarised by its overrides.
        baseline: name of a run; empty for the first one.

    Raises:
        SggError: there is no run in a folder, or no run is such a baseline.

    """
    if len(folders) == 1 and (folders[0] / SWEEP).is_file():
        return sweep_summary(folders[0], baseline)
    return _summary(" ".join(f.resolve().name for f in folders), runs_of_folders(folders), baseline)


def _summary(
    name: str, runs: Sequence[ScoredRun], baseline: str, search: SearchRecord | None = None
) -> SweepSummary:
    if not runs:
        raise SggError(f"{name}: there is no run in it.")
    keys = list(dict.fromkeys(key for run in runs for key in run.overrides))
    copies: Counter[tuple[str, str, str]] = Counter()
    pooled: dict[tuple[str, str, int], list[ScoredRun]] = {}
    for run in runs:
        configuration = run.step, _identity(run)
        copies[*configuration, run.seed] += 1  # a copy is no further seed: it has a row of its own
        pooled.setdefault((*configuration, copies[*configuration, run.seed]), []).append(run)
    groups = [
        Group(
            _label(found, copy),
            found[0].overrides,
            found[0].step,
            found,
            _values(found),
            None,
            "",
            {},
        )
        for (_, _, copy), found in pooled.items()
    ]
    chosen = _chosen(groups, baseline)
    compared = _adjusted([_compared(g, chosen) for g in groups])
    lower = lower_is_better(search)
    return SweepSummary(name, keys, compared, chosen[0].label, columns(runs), lower)


def _identity(run: ScoredRun) -> str:
    """Equal for runs of one configuration."""
    if run.overrides or run.step:
        return json.dumps(run.overrides)
    return identity(run.made) if run.made else run.name


def _label(runs: Sequence[ScoredRun], copy: int) -> str:
    first = runs[0]
    if not first.overrides and not first.step:
        return ", ".join(run.name for run in runs)
    name = " ".join(f"{key}={value}" for key, value in first.overrides.items()) or "all seeds"
    return name if copy == 1 else f"{name} ({copy})"


def _values(runs: Sequence[ScoredRun]) -> dict[str, Value]:
    found = {}
    for key in dict.fromkeys(key for run in runs for key in run.values):
        scored = [run for run in runs if key in run.values]
        values = [run.values[key] for run in scored]
        mean = sum(values) / len(values)
        if len(values) > 1:
            half = half_width(values)
            found[key] = Value(mean, mean - half, mean + half, len(values))
        else:
            metrics = scored[0].metrics
            low, high = (metrics.intervals.get(key) if metrics else None) or (None, None)
            found[key] = Value(mean, low, high, 1)
    return found


def _chosen(groups: Sequence[Group], wanted: str) -> list[Group]:
    """The groups of the baseline, one a step."""
    if not wanted:
        return [g for g in groups if g.label == groups[0].label]
    words = wanted.split(",")
    found = [g for g in groups if wanted == g.label or wanted in _names(g)] or [
        g for g in groups if all(w in [f"{k}={v}" for k, v in g.overrides.items()] for w in words)
    ]
    labels = list(dict.fromkeys(g.label for g in found))
    if len(labels) != 1:
        known = list(dict.fromkeys(g.label for g in groups))
        which = "is of several" if labels else "is none of them"
        near = "" if labels else did_you_mean(wanted, known)
        raise SggError(f"baseline={wanted}: {which}.{near} There are: {'; '.join(known)}.")
    return found


def _names(group: Group) -> list[str]:
    return [part for run in group.runs for part in (run.name, run.name.partition("/")[0])]


def _compared(group: Group, chosen: Sequence[Group]) -> Group:
    """The group with its test against the baseline of its step, and what differs from it."""
    baseline = next((g for g in chosen if g.step == group.step), None)
    if baseline is None or baseline is group:
        return group
    theirs, ours = (next((r.made for r in g.runs if r.made), ()) for g in (baseline, group))
    found = changes(theirs, ours) if theirs and ours else {}
    if group.values and all(run.metrics is None for run in group.runs):
        return replace(group, changes=found)  # a training has no images to compare
    test = "a control" if group.is_control else against(group.runs, baseline.runs)
    if not isinstance(test, str) and group.overrides and theirs and ours and not found:
        test = "the same model, evaluated alike"
    if isinstance(test, str):
        return replace(group, untested=test, changes=found)
    return replace(group, test=test, changes=found)


def _adjusted(groups: Sequence[Group]) -> list[Group]:
    """The groups with the p of their tests adjusted for their number."""
    adjusted = iter(holm([g.test.p for g in groups if g.test is not None]))
    return [
        g if g.test is None else replace(g, test=replace(g.test, p_holm=next(adjusted)))
        for g in groups
    ]
