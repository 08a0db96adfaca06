"""What the model wrote about some images while it trained: RUN_DIR/samples.jsonl beside gold, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sgg.config.schema import Config
from sgg.config.tree import cache_to_write
from sgg.data.prepare import image_store, is_prepared, prepare, vocabulary
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec
from sgg.report.content.gallery import prediction_block, said
from sgg.report.content.picture import overlay, picture_of, shown_size
from sgg.report.content.run import RunContent
from sgg.runs.training_samples import SampleKind, TrainingSample, read_samples
from sgg.text.codec import parse

IMAGES, COMPLETIONS = 24, 1200
"""Of one run: images, those that come again first, and completions of them."""

ImageOf = tuple[SampleKind, str]
"""An image by its id, which is unique in the split of the kind only."""


@dataclass(frozen=True)
class Training:
    """Completions of one run's images."""

    label: str
    images: list[dict[str, Any]]
    """`id`, `kind`, `picture`, `size`, `gold`, and `steps` in their order: rows of `step`, `reward`, `total`,
    `found` and the block of a prediction."""


def training_of(run: RunContent, cache: str | None) -> Training | None:
    """The samples of a run; None where it has none. Where a split is not there, the run notes it.

    Raises:
        SggError: the file is damaged.

    """
    samples = read_samples(run.path)
    if not samples:
        return None
    config = run.config
    config.paths.cache = cache or cache_to_write(config.paths.cache)
    by_image = _by_image(samples)
    golds: dict[ImageOf, dict[str, Any]] = {}
    for kind in dict.fromkeys(kind for kind, _ in by_image):
        ids = {image_id for other, image_id in by_image if other is kind}
        found: dict[str, dict[str, Any]] = run.taken(partial(_golds, config, kind, ids), {})
        golds |= {(kind, image_id): gold for image_id, gold in found.items()}
    images = [_image(config, golds[key], rows) for key, rows in by_image.items() if key in golds]
    return Training(run.label, images) if images else None


def _by_image(samples: Sequence[TrainingSample]) -> dict[ImageOf, list[TrainingSample]]:
    found: dict[ImageOf, list[TrainingSample]] = {}
    for sample in sorted(samples, key=lambda s: s.kind is not SampleKind.fixed):
        found.setdefault((sample.kind, sample.image_id), []).append(sample)
    kept = dict(list(found.items())[:IMAGES])
    most = COMPLETIONS // len(kept)
    return {name: sorted(_spread(rows, most), key=lambda s: s.step) for name, rows in kept.items()}


def _spread(rows: Sequence[TrainingSample], most: int) -> list[TrainingSample]:
    """At most so many, evenly, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _golds(config: Config, kind: SampleKind, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Gold and picture of images of a kind; of a train split only where that is prepared.

    To prepare a train split may take minutes, which is more than some samples are worth.
    """
    cache, split = Path(config.paths.cache), kind.split
    if split == "train" and not is_prepared(config.data, split, cache):
        return {}
    prepared = prepare(config.data, split, cache, quiet=True)
    store = image_store(config.data, split)
    places = {image_id: i for i, image_id in enumerate(prepared.image_ids)}
    golds = {image_id: prepared.gold(places[image_id]) for image_id in wanted & places.keys()}
    return {name: {**gold, "picture": picture_of(gold, store)} for name, gold in golds.items()}


def _image(config: Config, gold: dict[str, Any], rows: Sequence[TrainingSample]) -> dict[str, Any]:
    size, graph = (gold["width"], gold["height"]), gold["graph"]
    spec, task = graph_spec(config), Task(config.protocol, vocabulary(config.data))
    steps = []
    for sample in rows:
        row, block = prediction_block(
            parse(sample.text, spec, *size), sample.text, graph, size, task
        )
        steps.append(
            {
                "step": sample.step,
                "reward": sample.reward,
                "total": sample.total,
                "found": row["found"],
                "block": block,
            }
        )
    return {
        "id": gold["image_id"],
        "kind": rows[0].kind.value,
        "picture": gold["picture"],
        "size": shown_size(*size),
        "gold": {"graph": overlay(graph, *size), "relations": said(graph)},
        "steps": steps,
    }
