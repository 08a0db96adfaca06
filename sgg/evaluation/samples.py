"""Some predictions of an evaluation beside their gold, drawn, for trackers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sgg.config.derived import gold_data, scored_split
from sgg.config.schema import Config
from sgg.data.prepare import image_store, prepare, vocabulary
from sgg.evaluation.pictures import gold_and_prediction
from sgg.evaluation.predictions import read_predictions
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec
from sgg.text.codec import parse


@dataclass(frozen=True)
class Sample:
    """One image with its prediction."""

    image_id: str
    gold_image: Image.Image
    pred_image: Image.Image
    text: str


def draw_samples(config: Config, completions: Path, count: int) -> list[Sample]:
    """The first `count` predictions of the file, drawn; failures show as bare images."""
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
        gold_image, pred_image = gold_and_prediction(item.image, item.graph, parsed.graph, task)
        samples.append(Sample(item.image_id, gold_image, pred_image, text))
    return samples
