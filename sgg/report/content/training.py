"""What the model wrote about some images while it trained: RUN_DIR/samples.jsonl beside gold, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Training:
    """Completions of one run's images."""

    label: str
    images: list[dict[str, Any]]
    """`id`, `kind`, `picture`, `size`, `gold`, and `steps` in their order: rows of `step`, `reward`, `total`,
    `found` and the block of a prediction."""


def training_of(run: RunContent, cache: str | None) -> Training | None:
    """The samples of a run; None where it has none.

    Raises:
        SggError: the file is damaged, or the images' data is not there.

    """
    samples = read_samples(run.path)
    if not samples:
        return None
    config = run.config
    config.paths.cache = cache or cache_to_write(config.paths.cache)
    by_image = _by_image(samples)
    golds = _golds(config, set(by_image))
    images = []
    for image_id, rows in by_image.items():
        gold = golds.get(image_id)
        if gold is not None:
            images.append(_image(config, gold, rows))
    return Training(run.label, images) if images else None


def _by_image(samples: Sequence[TrainingSample]) -> dict[str, list[TrainingSample]]:
    found: dict[str, list[TrainingSample]] = {}
    for sample in sorted(samples, key=lambda s: s.kind is not SampleKind.fixed):
        found.setdefault(sample.image_id, []).append(sample)
    kept = dict(list(found.items())[:IMAGES])
    most = COMPLETIONS // len(kept)
    return {name: sorted(_spread(rows, most), key=lambda s: s.step) for name, rows in kept.items()}


def _spread(rows: Sequence[TrainingSample], most: int) -> list[TrainingSample]:
    """At most so many, evenly, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _golds(config: Config, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Gold and picture of the images: of the eval split, and of the train split where that is prepared.

    To prepare a train split may take minutes, which is more than some samples are worth.
    """
    found: dict[str, dict[str, Any]] = {}
    cache = Path(config.paths.cache)
    for split in ("eval", "train"):
        if wanted <= found.keys():
            break
        if split == "train" and not is_prepared(config.data, split, cache):
            continue
        prepared = prepare(config.data, split, cache, quiet=True)
        store = image_store(config.data, split)
        places = {image_id: i for i, image_id in enumerate(prepared.image_ids)}
        for image_id in wanted & places.keys() - found.keys():
            gold = prepared.gold(places[image_id])
            picture = picture_of(gold, store)
            found[image_id] = {**gold, "picture": picture}
    return found


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
                "kind": sample.kind.value,
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
