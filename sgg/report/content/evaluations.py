"""Evaluations of a report: read again with their gold, scored, and compared where the images are the same.

Input: runs of `stage=eval`. Output: the largest group that was scored against one gold by one protocol, each
with its comparison to its baseline. Runs outside of the group are named with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sgg.config.derived import gold_data, scored_split
from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig
from sgg.config.tree import cache_to_write
from sgg.data.images import ImageStore
from sgg.data.prepare import image_store, prepare, vocabulary
from sgg.data.prepared_split import Prepared
from sgg.evaluation.comparison import Comparison, compare_scored
from sgg.evaluation.predictions import Predictions, read_predictions
from sgg.evaluation.score import Scored
from sgg.evaluation.stage import score_split
from sgg.files import refuse_link
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec
from sgg.report.content.baseline import baselines, is_control
from sgg.report.content.run import RunContent
from sgg.runs.folder import COMPLETIONS
from sgg.text.codec import GraphSpec


@dataclass
class Evaluation:
    """One evaluation with what it was scored against."""

    run: RunContent
    prepared: Prepared
    store: ImageStore
    predictions: Predictions
    spec: GraphSpec
    task: Task
    scored: Scored | None = None
    """None before it has been scored."""
    baseline: int | None = None
    """Place of the evaluation that it is compared with."""
    comparison: Comparison | None = None


@dataclass
class Evaluated:
    """The evaluations that can be compared."""

    runs: list[Evaluation] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Labels of evaluations of other images, or by another protocol."""


def evaluated(
    runs: Sequence[RunContent], cache: str | None, pairs: Mapping[str, str] | None = None
) -> Evaluated:
    """Read, score and compare what can be; what is damaged is noted at its run.

    Args:
        runs: of all stages; the order decides what is compared with what.
        cache: where prepared data is kept; None for where each run keeps it, if that can be written to.
        pairs: label of a run -> label of the one that it is compared with, where a user has chosen the
            baseline; None to pair runs by their configs. A control stays with what it controls.

    """
    found = [run.taken(partial(_read, run, cache), None) for run in runs]
    read = [evaluation for evaluation in found if evaluation is not None]
    groups: dict[tuple[str, str], list[Evaluation]] = {}
    for evaluation in read:
        groups.setdefault(_judge(evaluation), []).append(evaluation)
    if not groups:
        return Evaluated()
    group = max(groups.values(), key=len)
    others = [e.run.label for e in read if not any(e is mine for mine in group)]
    return Evaluated(_compared(group, runs, pairs), others)


def _read(run: RunContent, cache: str | None) -> Evaluation | None:
    config, completions = run.config, run.path / COMPLETIONS
    refuse_link(completions)
    if not isinstance(config.stage, EvalConfig) or not completions.is_file():
        return None
    config.paths.cache = cache or cache_to_write(config.paths.cache)
    split, names = scored_split(config), vocabulary(config.data)
    prepared = prepare(gold_data(config), split, Path(config.paths.cache), quiet=True)
    return Evaluation(
        run,
        prepared,
        image_store(config.data, split),
        read_predictions(completions, names),
        graph_spec(config),
        Task(config.protocol, names),
    )


def _judge(evaluation: Evaluation) -> tuple[str, str]:
    """What two runs must share to be compared."""
    protocol: dict[str, Any] = plain(evaluation.task.protocol)
    return evaluation.prepared.fingerprint, repr({**protocol, "quirks": None})


def _compared(
    group: Sequence[Evaluation], runs: Sequence[RunContent], pairs: Mapping[str, str] | None
) -> list[Evaluation]:
    kept = []
    for evaluation in group:
        run = evaluation.run
        score = partial(score_split, run.config, evaluation.predictions, evaluation.prepared)
        evaluation.scored = run.taken(score, None)
        if evaluation.scored is not None:
            kept.append(evaluation)
    configs = [e.run.config for e in kept]
    places = {e.run.label: i for i, e in enumerate(kept)}
    for evaluation, place in zip(kept, baselines(configs, _started_from(runs)), strict=True):
        if pairs is not None and not is_control(evaluation.run.config):
            place = places.get(pairs.get(evaluation.run.label, ""))
        evaluation.baseline = place
        if place is not None and evaluation.scored is not None:
            other = kept[place]
            assert other.scored is not None
            names = evaluation.run.label, other.run.label
            evaluation.comparison = compare_scored(evaluation.scored, other.scored, names)
    return kept


def _started_from(runs: Sequence[RunContent]) -> dict[str, str]:
    """By the folder of a training run, as its config names it, the model that it started from."""
    return {str(folder): path for folder, path in map(_trained, runs) if folder}


def _trained(run: RunContent) -> tuple[str | None, str]:
    config: Config = run.config
    return (
        None if isinstance(config.stage, EvalConfig) else config.paths.run_dir
    ), config.model.path
