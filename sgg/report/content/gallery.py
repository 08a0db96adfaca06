"""The gallery: images with their gold and what each compared run predicted, relation by relation.

Output: an index of all images, by which the page filters and sorts, and one block an image, which the page
reads when it shows the image. The first completion of an image stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sgg.data.workers import forked
from sgg.metrics.reasons import explain_relations
from sgg.metrics.tally import Task
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.picture import limit_of, overlay, picture_of, shown_size
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import canonical
from sgg.text.codec import Parsed, parse

IMAGES = 1000
"""Images of a gallery: the split's first ones."""
RUNS = 6
"""Runs beside each other."""
CHUNK, FEW = 25, 200
"""Images that a process draws at a time, and up to which this process draws all."""
TEXT = 20_000
"""Characters of a completion that are shown."""


@dataclass(frozen=True)
class Card:
    """One image."""

    index: dict[str, Any]
    """What filters and sorts it: `id`, `classes`, `gold` (number of gold relations) and for each run a row of
    `found`, `change`, `kinds` of problems and `missed` predicates; `found` is -1 without a prediction."""
    block: dict[str, Any]
    """What is shown of it."""


def cards(runs: Sequence[Evaluation], images: int = IMAGES) -> Iterator[Card]:
    """The first images of the split that the runs were scored on, in their order."""
    count = min(images, len(runs[0].prepared))
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    for some in forked(partial(_some, runs, count), chunks, 0 if count > FEW else 1):
        yield from some


def _some(runs: Sequence[Evaluation], count: int, places: range) -> list[Card]:
    golds = runs[0].prepared.golds(places)
    return [_card(runs, count, *one) for one in zip(places, golds, strict=True)]


def _card(runs: Sequence[Evaluation], count: int, place: int, gold: dict[str, Any]) -> Card:
    graph, size = gold["graph"], (gold["width"], gold["height"])
    shown = [_prediction(run, gold["image_id"], graph, size) for run in runs]
    rows = [
        {**row, "change": _change(run, place)} for run, (row, _) in zip(runs, shown, strict=True)
    ]
    return Card(
        {
            "id": gold["image_id"],
            "gold": len(graph.edges),
            "classes": sorted({canonical(node.name) for node in graph.nodes}),
            "predicates": sorted({canonical(edge.predicate) for edge in graph.edges}),
            "runs": rows,
        },
        {
            "picture": picture_of(gold, runs[0].store, limit_of(count)),
            "size": shown_size(*size),
            "gold": {"graph": overlay(graph, *size), "relations": said(graph)},
            "runs": [block for _, block in shown],
        },
    )


def prediction_block(
    parsed: Parsed, text: str, gold: SceneGraph, size: tuple[int, int], task: Task
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(index row, block) of one completion, without what only a comparison knows."""
    seen = explain_relations(parsed.graph, gold, task)
    kinds = list(dict.fromkeys(problem.kind.value for problem in parsed.problems))
    missed = {
        canonical(edge.predicate)
        for edge, by in zip(gold.edges, seen.found_by, strict=True)
        if by < 0
    }
    row = {
        "found": sum(by >= 0 for by in seen.found_by),
        "kinds": kinds,
        "failed": parsed.failure.value if parsed.failure else "",
        "missed": sorted(missed),
    }
    block = {
        "graph": overlay(parsed.graph, *size, [of >= 0 for of in seen.hit_of]),
        "relations": said(parsed.graph),
        "by": seen.found_by,
        "missed": seen.missed,
        "of": seen.hit_of,
        "wrong": seen.wrong,
        "problems": [f"{p.kind.value} {p.item}".strip()[:200] for p in parsed.problems][:20],
        "text": text if len(text) <= TEXT else f"{text[:TEXT]} … cut",
    }
    return row, block


def said(graph: SceneGraph) -> list[str]:
    """Each relation as words."""
    return [" ".join(graph.triplet(edge)) for edge in graph.edges]


def _prediction(
    run: Evaluation, image_id: str, gold: SceneGraph, size: tuple[int, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    parsed, text = run.predictions.parsed(image_id, run.spec, *size)[0]
    if parsed is None:
        parsed = parse("", run.spec, *size)
        row, block = prediction_block(parsed, text, gold, size, run.task)
        return {**row, "kinds": ["no_completion"], "failed": "no_completion"}, {
            **block,
            "problems": ["no_completion"],
        }
    return prediction_block(parsed, text, gold, size, run.task)


def _change(run: Evaluation, place: int) -> str:
    return "" if run.comparison is None else run.comparison.images[place].change
