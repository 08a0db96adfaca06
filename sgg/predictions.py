"""Prediction files, our own and strangers': from a path to the answers of each image.

Told apart by what is in them:
    completions.jsonl         {"image_id", "index", "text"}: our runs; the text is parsed by the run's spec
    graphs, one a line        {"image_id", "objects", "relationships"}: boxes in original pixels
    R1-SGG's answers          {"image_id", "response", "box_scale"}: a folder of JSON files, or lines
    R1-SGG's gathered file    {image_id: {"boxes", "names_target", "graph"}}: already mapped by WordNet
Lines stay on disk and are read when asked for (`.gz` files excepted), so a file may be large.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sgg.boxes import FrameSpec
from sgg.codec import ErrorKind, GraphSpec, Parsed, Problem, parse
from sgg.errors import SggError
from sgg.graph import Edge, Node, SceneGraph
from sgg.options import Frame
from sgg.run import COMPLETIONS
from sgg.vocab import Vocabulary

Row = dict[str, Any]

_PIXELS = FrameSpec(Frame.original_px)


@dataclass(frozen=True)
class Predictions:
    """The answers of a file or folder."""

    path: Path
    rows: dict[str, list[Callable[[], Row]]]
    """By image id, what reads each of its answers, in their order."""
    vocabulary: Vocabulary | None = None
    """By which class ids of a gathered file are read."""

    def parsed(
        self, image_id: str, spec: GraphSpec, width: int, height: int
    ) -> list[tuple[Parsed | None, str]]:
        """The answers to an image and their texts; one None where there is no answer."""
        found = self.rows.get(image_id)
        if not found:
            return [(None, "")]
        return [self._parse(read(), spec, width, height) for read in found]

    def digest(self) -> str:
        """SHA-256 of the file, or of the folder's files in the order of their names."""
        files = sorted(self.path.glob("*.json")) if self.path.is_dir() else [self.path]
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def _parse(self, row: Row, spec: GraphSpec, width: int, height: int) -> tuple[Parsed, str]:
        if "text" in row:
            return parse(row["text"], spec, width, height), row["text"]
        if "response" in row:
            return _response(row, spec, width, height), row["response"]
        if "graph" in row:
            return _gathered(row, self.vocabulary), ""
        text = json.dumps({k: row.get(k) for k in ("objects", "relationships")})
        return parse(text, GraphSpec(_PIXELS, vocabulary=spec.vocabulary), width, height), text


def read_predictions(path: Path, vocabulary: Vocabulary | None = None) -> Predictions:
    """The answers behind a path: a run folder, one of the files above, or a folder of them.

    Raises:
        SggError: nothing is there, or it has none of the forms; the message says which were looked for.

    """
    if path.is_dir() and (path / COMPLETIONS).is_file():
        path = path / COMPLETIONS
    rows: dict[str, list[Callable[[], Row]]] = defaultdict(list)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise SggError(
                f"predictions={path}: neither {COMPLETIONS} nor one JSON file an image in this folder."
            )
        for file in files:
            rows[_image_id(_load(file), file.name, file.stem)].append(_Reader(file))
    elif not path.is_file():
        raise SggError(f"predictions={path}: no such file or folder.")
    elif path.name.removesuffix(".gz").endswith(".json"):
        content = _load(path)
        for image_id, row in content.items():
            if not isinstance(row, dict) or "boxes" not in row:
                raise SggError(f"predictions={path}: image {image_id} has no boxes. {_FORMS}")
            rows[image_id].append(_Held({"graph": None, **row}))
    else:
        for name, reader in _lines(path):
            rows[name].append(reader)
    if not rows:
        raise SggError(f"predictions={path}: no answer in it.")
    return Predictions(path, dict(rows), vocabulary)


_FORMS = (
    "Known are: completions.jsonl of a run, one graph a line, R1-SGG's one JSON file an image, "
    "and its gathered file (docs/metrics.md)."
)


@dataclass(frozen=True)
class _Held:
    """A row in memory."""

    row: Row

    def __call__(self) -> Row:
        return self.row


@dataclass(frozen=True)
class _Reader:
    """A file that is one row."""

    path: Path

    def __call__(self) -> Row:
        return _load(self.path)


@dataclass(frozen=True)
class _Line:
    """A row at a place of an open file; any number of processes may read it."""

    handle: int
    start: int
    length: int

    def __call__(self) -> Row:
        row: Row = json.loads(os.pread(self.handle, self.length, self.start))
        return row


def _lines(path: Path) -> list[tuple[str, Callable[[], Row]]]:
    """(image id, reader) of every line; a last line that a kill cut short is left out."""
    packed = path.suffix == ".gz"
    found: list[tuple[str, Callable[[], Row]]] = []
    handle = -1 if packed else os.open(path, os.O_RDONLY)
    start = 0
    with gzip.open(path) if packed else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            length = len(line)
            if line.strip():
                row = _row(line, path, number)
                if row is not None:
                    name = _image_id(row, f"{path.name}:{number}", None)
                    found.append((name, _Held(row) if packed else _Line(handle, start, length)))
            start += length
    return found


def _row(line: bytes, path: Path, number: int) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError as error:
        if not line.endswith(b"\n") and number > 1:
            return None
        raise SggError(
            f"predictions={path}: line {number} is no JSON ({error}). {_FORMS}"
        ) from error
    if not isinstance(row, dict):
        raise SggError(f"predictions={path}: line {number} is no JSON object. {_FORMS}")
    return row


def _load(path: Path) -> Row:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            row = json.load(file)
    except ValueError as error:
        raise SggError(f"predictions: {path} is no JSON ({error}). {_FORMS}") from error
    if not isinstance(row, dict):
        raise SggError(f"predictions: {path} is no JSON object. {_FORMS}")
    return row


def _image_id(row: Row, place: str, default: str | None) -> str:
    """The image that a row answers, once its form is known."""
    forms = (("text", str), ("response", str), ("objects", list))
    if not any(isinstance(row.get(key), kind) for key, kind in forms):
        raise SggError(f"predictions: {place} has no text, response or objects. {_FORMS}")
    if "image_id" not in row and default is None and "image" not in row:
        raise SggError(f"predictions: {place} has no image_id.")
    return str(row.get("image_id", default or Path(str(row.get("image"))).with_suffix("")))


def _response(row: Row, spec: GraphSpec, width: int, height: int) -> Parsed:
    """R1-SGG's answer: `box_scale` is the width and height of the frame that it was written in."""
    scale = row.get("box_scale")
    if scale is None:
        return parse(row["response"], spec, width, height)
    across, down = json.loads(scale) if isinstance(scale, str) else scale
    parsed = parse(row["response"], GraphSpec(_PIXELS, vocabulary=spec.vocabulary), width, height)
    if not parsed.graph.nodes:
        return parsed
    # the same arithmetic as the reference's: a box at the threshold must not fall by rounding
    boxes = parsed.graph.boxes_xyxy * np.array([width / across, height / down] * 2)
    return Parsed(parsed.graph.with_boxes(boxes), parsed.problems, parsed.tags_as_asked)


def _gathered(row: Row, vocabulary: Vocabulary | None) -> Parsed:
    """R1-SGG's gathered prediction: class names and boxes in pixels, predicates one-hot from 1."""
    if vocabulary is None or "names_target" not in row:
        raise SggError(
            "predictions: a gathered file needs names_target in each image and data.vocabulary."
        )
    graph = row["graph"] or {"all_node_pairs": [], "all_relation": []}
    nodes = tuple(
        Node(name, (x1, y1, x2, y2))
        for name, (x1, y1, x2, y2) in zip(row["names_target"], row["boxes"], strict=True)
    )
    rows = graph["all_relation"]
    edges = tuple(
        # where an answer failed, the reference writes one object of uninitialised memory and one
        # relation without a score, which its argmax reads as the first predicate
        Edge(s, vocabulary.predicates[max(row.index(max(row)) - 1, 0)], o)
        for (s, o), row in zip(graph["all_node_pairs"], rows, strict=True)
    )
    failed = not nodes or (bool(rows) and not any(map(any, rows)))
    problems = (Problem(ErrorKind.empty),) if failed else ()
    return Parsed(SceneGraph(nodes, edges), problems)
