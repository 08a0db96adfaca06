"""Scoring a few hand-made images without files: what the metric tests share."""

from __future__ import annotations

from typing import Any

from sgg.config.protocol import Mode, ProtocolConfig
from sgg.metrics.summary import Summary, summarise
from sgg.metrics.tally import Builder, Task, join
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
    """Metrics of (answer, gold) pairs; an answer is a graph, a `Parsed`, None, or a list of them.

    Every image is tallied on its own and joined, as worker processes do it.
    """
    task = Task(ProtocolConfig(**protocol), vocabulary, unseen, synonyms)
    tallies = []
    for index, (answers, gold) in enumerate(images):
        builder = Builder(task, first=index == 0)
        for answer in answers if isinstance(answers, list) else [answers]:
            builder.add(index, parsed(answer) if isinstance(answer, SceneGraph) else answer, gold)
        tallies.append(builder.tally())
    return summarise(join(tallies), task, ids or [str(i) for i in range(len(images))])


def metrics(*images: tuple[Any, SceneGraph], **options: Any) -> dict[str, float]:
    return scored(*images, **options).values
