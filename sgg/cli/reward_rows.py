"""The completions that `sgg reward` scores, each with its own gold: from its row, or from the split."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

from sgg.config.data import Duplicates
from sgg.config.schema import Config
from sgg.data.clean import KINDS, Policy, Report, clean
from sgg.data.example import RawExample
from sgg.data.prepare import prepare
from sgg.data.sources.jsonl import parse_items
from sgg.errors import SggError, did_you_mean
from sgg.evaluation.prediction_rows import Form
from sgg.evaluation.predictions import read_predictions
from sgg.scene.graph import SceneGraph

log = logging.getLogger("sgg")


class Gold(NamedTuple):
    """What a completion is compared with; boxes in pixels."""

    graph: SceneGraph
    width: int
    height: int


class Row(NamedTuple):
    """One completion."""

    image_id: str
    number: int
    text: str
    gold: Gold
    """One object for all completions that are compared with the same."""

    @property
    def name(self) -> str:
        """As it is printed and asked for."""
        return f"{self.image_id}#{self.number}"


class _Found(NamedTuple):
    image_id: str
    number: int
    place: str
    """Where it stands, and its image: what errors begin with."""
    content: dict[str, Any]


def read_rows(path: Path, config: Config, split: str) -> list[Row]:
    """All completions of a file, image by image in the order of their indices.

    Raises:
        SggError: the file cannot be read, its rows hold no text or unsound gold, or an image is not in
            the split.

    """
    predictions = read_predictions(path)
    found = []
    for stored in (row for rows in predictions.by_image.values() for row in rows):
        place = f"{predictions.path}, {stored.read.where}, image {stored.image_id}"
        if stored.form is not Form.text:
            raise SggError(
                f"{place}: text is missing. A reward is of a completion's text; `sgg score` "
                f"reads rows with {stored.form.name}."
            )
        found.append(_Found(stored.image_id, stored.index, place, stored.read()))
    own = ["gold" in row.content for row in found]
    if any(own) and not all(own):
        raise SggError(
            f"{found[own.index(False)].place}: no gold, which other rows hold. Let all rows hold theirs, "
            "or none."
        )
    golds = _own_golds(found) if any(own) else _split_golds(found, config, split)
    return [
        Row(row.image_id, row.number, row.content["text"], gold)
        for row, gold in zip(found, golds, strict=True)
    ]


def _own_golds(found: list[_Found]) -> list[Gold]:
    """Of each row; rows of an image with the same gold and size share it."""
    report, known = Report(), dict[str, Gold]()
    golds = []
    for row in found:
        values = [row.content.get(name) for name in ("gold", "width", "height")]
        same = json.dumps([row.image_id, *values])
        if same not in known:
            known[same] = _own_gold(row, report)
        golds.append(known[same])
    for kind, count in report.issues.items():
        log.warning("gold: %s %d (%s)", kind, count, KINDS[kind])
    return golds


def _own_gold(row: _Found, report: Report) -> Gold:
    width, height = (_side(row, name) for name in ("width", "height"))
    try:
        gold = row.content["gold"]
        objects, relations = parse_items(gold["objects"], gold["relationships"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SggError(
            f"{row.place}: gold must be {{objects: [{{id, bbox}}], relationships: [{{subject, predicate, "
            f"object}}]}} with boxes in pixels: {error!r}."
        ) from error
    raw = RawExample(row.place, "", width, height, objects, relations)
    own = Report()
    graph = clean(raw, Policy(duplicates=Duplicates.keep), own)
    if graph is None or own.kept != own.read:
        kinds = ", ".join(f"{kind} ({KINDS[kind]})" for kind in own.issues)
        raise SggError(f"{row.place}: gold is not sound: {kinds}.")
    report.add(own)
    return Gold(graph, width, height)


def _side(row: _Found, name: str) -> int:
    value = row.content.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SggError(
            f"{row.place}: a row with gold needs width and height of its image in pixels; {name} is "
            f"{json.dumps(value)}."
        )
    return value


def _split_golds(found: list[_Found], config: Config, split: str) -> list[Gold]:
    if split not in ("train", "eval"):
        raise SggError(f"split={split}: allowed are train and eval.")
    prepared = prepare(config.data, split, Path(config.paths.cache))
    golds = {
        gold["image_id"]: Gold(gold["graph"], gold["width"], gold["height"])
        for gold in prepared.golds()
    }
    for row in found:
        if row.image_id not in golds:
            raise SggError(
                f"{row.place} is not in the {split} split of the data."
                f"{did_you_mean(row.image_id, golds)} Check data=…, its limits and split=train|eval."
            )
    return [golds[row.image_id] for row in found]
