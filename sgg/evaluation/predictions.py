"""Prediction files, our own and others': from a path to the predictions of each image.

Told apart by what is in them:
    completions.jsonl         {"image_id", "index", "text"}: our runs; the text is parsed by the run's spec
    graphs, one a line        {"image_id", "objects", "relationships"}: boxes in original pixels
    R1-SGG's predictions      {"image_id", "response", "box_scale"}: a folder of JSON files, or lines
    R1-SGG's gathered file    {image_id: {"boxes", "names_target", "graph"}}: already mapped by WordNet
Several predictions for an image are told apart and ordered by "index", a whole number that is 0 where it is
left out. Each row is checked when the file is opened; lines are read again when they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sgg.config.model import Frame
from sgg.data.sources.base import distinct_ids
from sgg.errors import SggError
from sgg.evaluation.prediction_files import Held, Reader, Row, find, gathered, is_gathered, rows
from sgg.evaluation.prediction_rows import (
    Form,
    box_scale,
    check_gathered,
    form_of,
    image_of,
    index_of,
)
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.vocab import Vocabulary
from sgg.text.codec import ErrorKind, GraphSpec, Parsed, Problem, parse

_PIXELS = FrameSpec(Frame.original_px)


@dataclass(frozen=True, slots=True)
class Stored:
    """One prediction of a file."""

    image_id: str
    index: int
    form: Form
    read: Reader
    """What reads its row."""


@dataclass(frozen=True)
class Predictions:
    """The predictions of a file or folder."""

    path: Path
    by_image: dict[str, list[Stored]]
    """By image id, in the order of their indices."""
    vocabulary: Vocabulary | None = None
    """By which predicates of a gathered file are read."""

    def parsed(
        self, image_id: str, spec: GraphSpec, width: int, height: int
    ) -> list[tuple[Parsed | None, str]]:
        """The predictions for an image and their texts; one None where there is no prediction."""
        found = self.by_image.get(image_id)
        if not found:
            return [(None, "")]
        return [self._parse(stored, spec, width, height) for stored in found]

    def digest(self) -> str:
        """SHA-256 of the file, or of the folder's files in the order of their names."""
        files = sorted(self.path.glob("*.json")) if self.path.is_dir() else [self.path]
        digest = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _parse(
        self, stored: Stored, spec: GraphSpec, width: int, height: int
    ) -> tuple[Parsed, str]:
        row = stored.read()
        if stored.form is Form.text:
            return parse(row["text"], spec, width, height), row["text"]
        if stored.form is Form.response:
            return _response(row, spec, width, height), row["response"]
        if stored.form is Form.graph:
            return _gathered(row, self.vocabulary), ""
        text = json.dumps({k: row.get(k) for k in ("objects", "relationships")})
        return parse(text, GraphSpec(_PIXELS, vocabulary=spec.vocabulary), width, height), text


def read_predictions(
    path: Path,
    vocabulary: Vocabulary | None = None,
    ids: Collection[str] = (),
) -> Predictions:
    """The predictions behind a path: a run folder, one of the files above, or a folder of them.

    Args:
        vocabulary: of the data, by which a gathered file is read.
        ids: of the images that are asked for. Rows that name an image file mean the image with the file's
            name as its id; where there is none, without the suffix.

    Raises:
        SggError: nothing is there, it has none of the forms, a row is not as its form wants it, or two
            rows are the same prediction; the message names the rows.

    """
    path = find(path)
    found = (
        _stored_gathered(path, vocabulary)
        if is_gathered(path)
        else _of_images(list(_stored(path)), ids)
    )
    by_image: dict[str, list[Stored]] = {}
    seen: dict[tuple[str, int], Reader] = {}
    for stored in found:
        before = seen.setdefault((stored.image_id, stored.index), stored.read)
        if before is not stored.read:
            raise SggError(
                f"{path}: {before.where} and {stored.read.where} are both prediction {stored.index} for "
                f"image {stored.image_id}. Remove one, or tell them apart by index: 0, 1, …"
            )
        by_image.setdefault(stored.image_id, []).append(stored)
    if not by_image:
        raise SggError(f"{path}: no prediction in it.")
    for several in by_image.values():
        several.sort(key=lambda stored: stored.index)
    return Predictions(path, by_image, vocabulary)


def _of_images(found: list[tuple[Stored, bool]], ids: Collection[str]) -> Iterator[Stored]:
    """The predictions with the ids of their images; `found` says of which the id is an image file's name."""
    asked = set(ids)
    files = (stored.image_id for stored, is_file in found if is_file)
    distinct = distinct_ids(files, lambda file: str(file.with_suffix("")))
    for stored, is_file in found:
        name = stored.image_id
        short = str(Path(name).with_suffix(""))
        if is_file and name not in asked:
            yield replace(stored, image_id=short if short in asked else distinct[name])
        else:
            yield stored


def _stored(path: Path) -> Iterator[tuple[Stored, bool]]:
    for row, reader in rows(path):
        place = f"{path}, {reader.where}"
        image_id, is_file = image_of(row, place, Path(reader.where).stem if path.is_dir() else None)
        place = f"{place}, image {image_id}"
        yield Stored(image_id, index_of(row, place), form_of(row, place), reader), is_file


def _stored_gathered(path: Path, vocabulary: Vocabulary | None) -> Iterator[Stored]:
    for image_id, row in gathered(path):
        check_gathered(row, f"{path}, image {image_id}", vocabulary)
        yield Stored(image_id, 0, Form.graph, Held(f"image {image_id}", row))


def _response(row: Row, spec: GraphSpec, width: int, height: int) -> Parsed:
    """R1-SGG's prediction: `box_scale` is the width and height of the frame that it was written in."""
    scale = box_scale(row, "")
    if scale is None:
        return parse(row["response"], spec, width, height)
    across, down = scale
    written = GraphSpec(_PIXELS, vocabulary=spec.vocabulary)
    parsed = parse(row["response"], written, math.ceil(across), math.ceil(down))
    if not parsed.graph.nodes:
        return parsed
    # the same arithmetic as the reference's: a box at the threshold must not fall by rounding
    boxes = parsed.graph.boxes_xyxy * np.array([width / across, height / down] * 2)
    return replace(parsed, graph=parsed.graph.with_boxes(boxes))


def _gathered(row: Row, vocabulary: Vocabulary | None) -> Parsed:
    """R1-SGG's gathered prediction: class names and boxes in pixels, predicates one-hot from 1."""
    assert vocabulary is not None
    graph = row["graph"] or {"all_node_pairs": [], "all_relation": []}
    nodes = tuple(
        Node(name, (x1, y1, x2, y2))
        for name, (x1, y1, x2, y2) in zip(row["names_target"], row["boxes"], strict=True)
    )
    scores = graph["all_relation"]
    edges = tuple(
        # where a prediction failed, the reference writes one object of uninitialised memory and one
        # relation without a score, which its argmax reads as the first predicate
        Edge(s, vocabulary.predicates[max(scored.index(max(scored)) - 1, 0)], o)
        for (s, o), scored in zip(graph["all_node_pairs"], scores, strict=True)
    )
    failed = not nodes or (bool(scores) and not any(map(any, scores)))
    problems = (Problem(ErrorKind.empty),) if failed else ()
    return Parsed(SceneGraph(nodes, edges), problems)
