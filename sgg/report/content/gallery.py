"""The gallery: images with their gold and what each compared run predicted, relation by relation.

Output: an index of all images, by which the page filters and sorts, and one block an image, which the page
reads when it shows the image. The first completion of an image stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sgg.data.prepared_split import image_of
from sgg.errors import SggError
from sgg.evaluation.comparison import ImageChange
from sgg.metrics.reasons import explain_relations
from sgg.metrics.tally import Task
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.picture import jpeg, limit_of, overlay, shown_size
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import canonical
from sgg.text.codec import Parsed, parse

IMAGES = 1000
"""Images of a gallery: the split's first ones."""
RUNS = 6
"""Runs beside each other."""
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
    """The first images of the split that the runs were scored on."""
    prepared, store = runs[0].prepared, runs[0].store
    count = min(images, len(prepared))
    changes = [_changes(run, count) for run in runs]
    for place, gold in enumerate(prepared.golds(range(count))):
        graph, size = gold["graph"], (gold["width"], gold["height"])
        try:
            picture = jpeg(image_of(gold, store), limit_of(count))
        except (
            SggError,
            OSError,
        ):  # it was moved or changed since: gold and text are still worth a look
            picture = ""
        shown = [_prediction(run, gold["image_id"], graph, size) for run in runs]
        rows = [
            {**row, "change": change[place].change if change else ""}
            for (row, _), change in zip(shown, changes, strict=True)
        ]
        yield Card(
            {
                "id": gold["image_id"],
                "gold": len(graph.edges),
                "classes": sorted({canonical(node.name) for node in graph.nodes}),
                "predicates": sorted({canonical(edge.predicate) for edge in graph.edges}),
                "runs": rows,
            },
            {
                "picture": picture,
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


def _changes(run: Evaluation, count: int) -> list[ImageChange]:
    return run.comparison.images[:count] if run.comparison is not None else []
