"""Scoring a few hand-made images without files: what the metric tests share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sgg.config.protocol import Mode, ProtocolConfig
from sgg.evaluation.score import Scored
from sgg.metrics.found import found_relations
from sgg.metrics.summary import Summary, summarise
from sgg.metrics.tally import Builder, Tally, Task, join
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import Vocabulary
from sgg.text.codec import Parsed, Problem

ALL_MODES = [Mode.sgdet, Mode.phrdet, Mode.sgcls, Mode.predcls]


def parsed(graph: SceneGraph, *problems: Problem) -> Parsed:
    return Parsed(graph, problems)


def scored(
    *images: tuple[Any, SceneGraph],
    vocabulary: Vocabulary | None = None,
    unseen: frozenset[tuple[str, str, str]] | None = None,
    ids: list[str] | None = None,
    synonyms: dict[str, str] | None = None,
    **protocol: Any,
) -> Summary:
    """Metrics of (completion, gold) pairs; a completion is a graph, a `Parsed`, None, or a list of them.

    Every image is tallied on its own and joined, as worker processes do it.
    """
    task = Task(ProtocolConfig(**protocol), vocabulary, unseen, synonyms)
    return summarise(tallied(task, *images), task, ids or names_of(images))


def evaluated(*images: tuple[Any, SceneGraph], **protocol: Any) -> Scored:
    """What an evaluation of the same pairs finds."""
    task = Task(ProtocolConfig(**protocol))
    tally = tallied(task, *images)
    summary = summarise(tally, task, names_of(images))
    found = found_relations(tally, names_of(images))
    return Scored({}, summary.predicates, [], summary.estimates, found)


def names_of(images: Sequence[Any]) -> list[str]:
    return [str(i) for i in range(len(images))]


def tallied(task: Task, *images: tuple[Any, SceneGraph]) -> Tally:
    tallies = []
    for index, (completions, gold) in enumerate(images):
        builder = Builder(task, first=index == 0)
        for completion in completions if isinstance(completions, list) else [completions]:
            builder.add(
                index,
                parsed(completion) if isinstance(completion, SceneGraph) else completion,
                gold,
            )
        tallies.append(builder.tally())
    return join(tallies)


def metrics(*images: tuple[Any, SceneGraph], **options: Any) -> dict[str, float]:
    return scored(*images, **options).values
