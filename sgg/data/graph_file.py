"""The graph in one file, of whatever form that `sgg` writes or reads.

Told apart by what is in the file:
    a JSON object             {"objects", "relationships"}: `sgg predict`'s, and a line of data=jsonl
    the same with a text      {"text"} or {"response"}: a completion's row; its text is read
    several of these, one a line
    any other text            a completion, as a model writes it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from sgg.config.model import Frame
from sgg.data.fields import WrongForm, instead
from sgg.data.published_keys import check_items
from sgg.errors import SggError
from sgg.files import parse_json, read_bounded
from sgg.scene.boxes import FrameSpec
from sgg.text.codec import GraphSpec, Parsed, parse

_PIXELS = GraphSpec(FrameSpec(Frame.original_px))
_TEXTS = ("text", "response")
FORMS = (
    'Expected is a JSON object with "objects" ({"id", "bbox"}) and "relationships" ({"subject", '
    '"predicate", "object"}), one with "text", such objects one a line, or a model\'s answer.'
)


@dataclass(frozen=True, slots=True)
class GraphRow:
    """One graph as written."""

    where: str
    """The file, and the line where it has several."""
    text: str
    """A completion, or JSON of the graph."""
    size: tuple[int, int] | None
    """Width and height of its image in pixels, where the row says so."""

    def parsed(self, image: tuple[int, int], frame: tuple[int, int] | None = None) -> Parsed:
        """The graph in pixels of an image of that size, and what was wrong with the text.

        Args:
            image: width and height.
            frame: the largest x and y in which boxes are written; None for pixels of the image.

        """
        width, height = frame or image
        parsed = parse(self.text, _PIXELS, width, height)
        scale = [image[0] / width, image[1] / height] * 2
        graph = parsed.graph
        return (
            replace(parsed, graph=graph.with_boxes(graph.boxes_xyxy * scale)) if frame else parsed
        )


def read_graph_row(path: Path, image: Path | None = None, line: int | None = None) -> GraphRow:
    """The graph that a file holds.

    Args:
        path: the file, at most 16 MiB.
        image: of several lines, the one that names this image is read.
        line: of several lines, the one with this number, counted from 1.

    Raises:
        SggError: there is no such file, it has none of the forms, or several lines and none is chosen.
        OSError: it may not be read, or is a symbolic link.

    """
    try:
        text = read_bounded(path).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SggError(f"{path}: no such file.") from error
    except UnicodeDecodeError as error:
        raise SggError(f"{path}: no text in UTF-8 (byte {error.start:,}). {FORMS}") from error
    whole = _json(text)
    if isinstance(whole, Mapping):
        if line is not None:
            raise SggError(f"line={line}: {path} is one JSON object; leave line out.")
        return _row(whole, str(path))
    if isinstance(whole, list):
        raise SggError(f"{path}: a JSON array. {FORMS}")
    rows = _lines(text)
    if rows is None:
        if line is not None:
            raise SggError(f"line={line}: {path} is not one JSON object a line; leave line out.")
        if not text.strip():
            raise SggError(f"{path}: empty. {FORMS}")
        return GraphRow(str(path), text, None)
    return _chosen(rows, path, image, line)


def _lines(text: str) -> dict[int, Mapping[str, Any]] | None:
    """The object of each line by its number; None where some line is none."""
    rows: dict[int, Mapping[str, Any]] = {}
    for number, written in enumerate(text.split("\n"), 1):
        if written.strip():
            rows[number] = row = _json(written)
            if not isinstance(row, Mapping):
                return None
    return rows or None


def _chosen(
    rows: Mapping[int, Mapping[str, Any]], path: Path, image: Path | None, line: int | None
) -> GraphRow:
    if line is None and image is not None and len(rows) > 1:
        named = [number for number, row in rows.items() if _names(row, image)]
        if len(named) == 1:
            line = named[0]
    if line is None and len(rows) == 1:
        line = next(iter(rows))
    if line is None:
        of = "" if image is None else f", not exactly one of them of {image.name}"
        raise SggError(f"{path}: {len(rows):,} lines{of}. Say which: line=1, line=2, …")
    if line not in rows:
        raise SggError(f"line={line}: {path} has {len(rows):,} lines.")
    return _row(rows[line], f"{path}, line {line}")


def _names(row: Mapping[str, Any], image: Path) -> bool:
    """Whether a row is of this image file, by its name or, for an id, by that without the suffix."""
    if (name := row.get("image")) is not None:
        return PurePosixPath(str(name)).name == image.name
    return str(row.get("image_id")) in (image.name, image.stem)


def _row(row: Mapping[str, Any], where: str) -> GraphRow:
    width, height = row.get("width"), row.get("height")
    told = None
    if type(width) is int and type(height) is int and min(width, height) > 0:
        told = width, height
    if "objects" in row or "relationships" in row:
        missing = [
            key for key in ("objects", "relationships") if not isinstance(row.get(key), list)
        ]
        if missing:
            raise SggError(f'{where} has no list "{missing[0]}"{instead(missing[0], row)}. {FORMS}')
        try:
            check_items(row["objects"], row["relationships"])
        except WrongForm as error:
            raise SggError(f"{where}: {error}. {FORMS}") from error
        return GraphRow(where, json.dumps(_by_name(row)), told)
    for key in _TEXTS:
        if isinstance(row.get(key), str):
            return GraphRow(where, row[key], told)
    keys = ", ".join(f'"{str(key)[:40]}"' for key in list(row)[:8]) or "none"
    raise SggError(f"{where}: the keys are {keys}. {FORMS}")


def _by_name(row: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The two lists, where objects that have a "name" are called by it and their place."""
    ids: dict[str, str] = {}
    objects = []
    for place, item in enumerate(row["objects"], 1):
        if isinstance(item, Mapping) and isinstance(name := item.get("name"), str) and name.strip():
            ids[str(item["id"])] = called = f"{name}.{place}"
            objects.append({"id": called, "bbox": item.get("bbox")})
        else:
            objects.append(item)
    relations = []
    for item in row["relationships"]:
        if isinstance(item, Mapping):
            ends = {key: ids.get(str(item[key]), item[key]) for key in ("subject", "object")}
            relations.append({"predicate": item["predicate"], **ends})
        else:
            relations.append(item)
    return {"objects": objects, "relationships": relations}


def _json(text: str) -> Any:
    """What JSON says; None where the text is none."""
    try:
        return parse_json(text.encode())
    except ValueError:
        return None
