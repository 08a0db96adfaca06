"""Which panels a dashboard has, by section: plain values, of which `spec` makes wandb's.

Input: runs as a report reads them. Names in them may be anybody's and stay text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sgg.config.derived import takes_fixed_samples
from sgg.config.differences import differences
from sgg.config.schema import Config
from sgg.config.stage import GrpoConfig, StageName
from sgg.report.content.run import RunContent
from sgg.tracking.names import NAMES, Name, entry_of, is_logged_by

_MOST = 60
"""Panels of one section."""
_MOST_COLUMNS = 12
"""Config keys of the plot of parallel coordinates."""
_NO_CURVE = (
    "epoch",
    "loss_mean",
    "speed/training_s",
    "speed/samples_per_s",
    "speed/steps_per_s",
    "speed/operations",
)
"""Logged once in a run, or the steps in other units."""
_AT_TIMES = ("policy_loss", "aux_loss", "cispo_", "grammar/", "kl", "entropy_coef")
"""What a training logs with some settings only."""
_PLACES = ("TERM", "KIND", "METRIC")
_SCORES = {
    "R": "triplet recall",
    "mR": "mean recall over predicates",
    "failure_rate": "failure rate",
    "AP50": "AP@50 of the objects",
}
"""The main metrics of an evaluation; each is a share."""


class Kind(Enum):
    """What a panel draws."""

    curve = "curve"
    bars = "bars"
    """The last value of each run."""
    table = "table"
    parallel = "parallel"
    """Config keys and a metric, one line a run."""
    differences = "differences"
    """Configs of runs side by side."""


@dataclass(frozen=True)
class Panel:
    """One panel."""

    kind: Kind
    title: str = ""
    name: str = ""
    """Of the number or the table, as it is logged."""
    unit: str = ""
    keys: tuple[str, ...] = ()
    """Config keys of `parallel`."""


@dataclass(frozen=True)
class Section:
    """Panels below one heading."""

    name: str
    panels: list[Panel]


def sections(runs: Sequence[RunContent]) -> list[Section]:
    """The sections in their order, without empty ones."""
    curves = _curves(runs)
    found = [
        Section("Training curves", curves["Training curves"]),
        Section("Reward terms", curves["Reward terms"]),
        Section("Completions", curves["Completions"]),
        Section("Speed", curves["Speed"]),
        Section("Evaluation", [*_scores(runs)]),
        Section("Comparison", [*_comparison(runs)]),
        Section("Samples", [*_samples(runs)]),
    ]
    return [section for section in found if section.panels]


def _curves(runs: Sequence[RunContent]) -> dict[str, list[Panel]]:
    """One panel for each number that is logged or, before the first step, will be."""
    names: dict[str, Name] = {}
    for run in runs:
        logged = {name for row in run.curves for name in row} or _expected(run.config)
        for name in logged:
            entry = entry_of(name)
            if entry is not None and name not in _NO_CURVE:
                names[name] = entry
    found: dict[str, list[Panel]] = {
        name: [] for name in ("Training curves", "Reward terms", "Completions", "Speed")
    }
    for name, entry in sorted(names.items(), key=lambda item: (NAMES.index(item[1]), item[0])):
        panels = found.get(_section_of(name))
        if panels is not None and len(panels) < _MOST:
            exact = name == entry.name and entry.meaning
            title = f"{name}: {entry.meaning}" if exact else name
            panels.append(Panel(Kind.curve, title, name, entry.unit))
    return found


def _expected(config: Config) -> set[str]:
    """What a training will log for sure; nothing for an evaluation."""
    stage = config.stage.name
    if stage is StageName.eval:
        return set()
    plain = {entry.name for entry in NAMES if not {*_PLACES} & {*entry.name.split("/")}}
    sure = {n for n in plain if is_logged_by(stage, n) and not n.startswith(_AT_TIMES)}
    if stage is StageName.sft:
        return sure
    return sure | {f"reward/{term}/{of}" for term in config.reward.terms for of in ("mean", "std")}


def _section_of(name: str) -> str:
    first = name.partition("/")[0]
    words = {"reward": "Reward terms", "completion": "Completions", "speed": "Speed", "eval": ""}
    return words.get(first, "Training curves")


def _scores(runs: Sequence[RunContent]) -> Iterator[Panel]:
    """One panel of bars for each metric of the evaluations, the main ones first."""
    evaluations = [run for run in runs if run.config.stage.name.name == "eval"]
    if not evaluations:
        return
    known = [run.metrics.metrics for run in evaluations if run.metrics is not None]
    names = {name for metrics in known for name in metrics} or {*_SCORES}
    for name in [n for n in _SCORES if n in names] + sorted(names - {*_SCORES})[:_MOST]:
        title = f"{name}: {_SCORES[name]}" if name in _SCORES else name
        unit = "share, 0 to 1" if name in _SCORES else ""
        yield Panel(Kind.bars, title, f"eval/{name}", unit)


def _comparison(runs: Sequence[RunContent]) -> Iterator[Panel]:
    """What sets several runs of one stage apart, and what comes of it."""
    last = runs[-1].config.stage.name.name
    peers = [run for run in runs if run.config.stage.name.name == last]
    if len(peers) < 2:
        return
    keys: dict[str, None] = {}
    for run in peers[1:]:
        for key in differences(peers[0].config, run.config):
            if not key.startswith(("paths.", "model.path", "tracker.")):
                keys.setdefault(key)
    name = "eval/R" if last == "eval" else "reward/total/mean" if last == "grpo" else "loss"
    if keys:
        title = f"{name} by what differs between the configs"
        yield Panel(Kind.parallel, title, name, keys=tuple(keys)[:_MOST_COLUMNS])
    yield Panel(Kind.differences, "Configs and last numbers side by side")


def _samples(runs: Sequence[RunContent]) -> Iterator[Panel]:
    shown = [run.config for run in runs if run.config.tracker.samples]
    if any(config.stage.name.name == "eval" for config in shown):
        yield Panel(Kind.table, name="eval/samples")
    if any(isinstance(config.stage, GrpoConfig) for config in shown):
        yield Panel(Kind.table, name="samples/rotating")
    if any(takes_fixed_samples(config) for config in shown):
        yield Panel(Kind.table, name="samples/fixed")
