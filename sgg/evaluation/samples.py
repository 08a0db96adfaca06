"""Some predictions of an evaluation beside their gold, drawn: for the report and for trackers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sgg.config.derived import gold_data, scored_split
from sgg.config.schema import Config
from sgg.data.prepare import image_store, prepare, vocabulary
from sgg.drawing.layout import Marks, layout
from sgg.drawing.raster import png
from sgg.evaluation.predictions import read_predictions
from sgg.metrics.judged import judged
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec
from sgg.scene.graph import SceneGraph
from sgg.text.codec import Parsed, parse


@dataclass(frozen=True)
class Sample:
    """One image with its prediction."""

    image_id: str
    gold_image: Image.Image
    pred_image: Image.Image
    gold_relations: list[tuple[bool, str]]
    """(found, text) of each gold relation."""
    pred_relations: list[tuple[bool, str]]
    """(right, text) of each predicted relation."""
    text: str
    parsed: Parsed


def draw_samples(config: Config, completions: Path, count: int) -> list[Sample]:
    """The first `count` predictions of the file, drawn; failures show as bare images.

    A hit is what the protocol counts as one (`metrics.judged`).
    """
    split = scored_split(config)
    prepared = prepare(gold_data(config), split, Path(config.paths.cache), quiet=True)
    store, spec = image_store(config.data, split), graph_spec(config)
    task = Task(config.protocol, vocabulary(config.data))
    predictions = read_predictions(completions, vocabulary(config.data))
    samples = []
    for index in range(min(count, len(prepared))):
        item = prepared.example(index, store)
        parsed, text = predictions.parsed(item.image_id, spec, item.width, item.height)[0]
        if parsed is None:
            parsed = parse(text, spec, item.width, item.height)
        pred = parsed.graph
        found, right = judged(pred, item.graph, task)
        samples.append(
            Sample(
                image_id=item.image_id,
                gold_image=_drawn(item.image, item.graph, found),
                pred_image=_drawn(item.image, pred, right),
                gold_relations=_said(item.graph, found),
                pred_relations=_said(pred, right),
                text=text,
                parsed=parsed,
            )
        )
    return samples


def _drawn(image: Image.Image, graph: SceneGraph, hits: list[bool]) -> Image.Image:
    return png(image, layout(graph, image.size, Marks(relations=hits)))


def _said(graph: SceneGraph, right: list[bool]) -> list[tuple[bool, str]]:
    return [
        (flag, " ".join(graph.triplet(edge))) for flag, edge in zip(right, graph.edges, strict=True)
    ]
