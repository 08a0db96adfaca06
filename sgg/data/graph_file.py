"""The graph in one file, of whatever form that `sgg` writes or reads.

Told apart by what is in the file:
    a JSON object             {"objects", "relationships"}: `sgg predict`'s, and a line of data=jsonl
    the same with a text      {"text"} or {"response"}: a completion's row; its text is read
    several of these, one a line
    any other text            a completion, as a model writes it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from sgg.config.model import Frame
from sgg.data.fields import WrongForm, instead
from sgg.data.packed import lines_of
from sgg.data.published_keys import check_items
from sgg.errors import SggError
from sgg.files import LINES_BYTES, RECORD_BYTES, opened, parse_json, read_bounded
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
        path: the file; of lines at most 1 GiB, each at most 16 MiB, and of another form at most 16 MiB.
        image: of several lines, the one that names this image is read.
        line: of several lines, the one with this number, counted from 1.

    Raises:
        SggError: there is no such file, it has none of the forms, or several lines and none is chosen.
        OSError: it may not be read, or is a symbolic link.

    """
    try:
        if path.stat().st_size > RECORD_BYTES:
            return _chosen(_long_lines(path), path, image, line)
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
    return _chosen(rows.items(), path, image, line)


def _lines(text: str) -> dict[int, Mapping[str, Any]] | None:
    """The object of each line by its number; None where some line is none."""
    rows: dict[int, Mapping[str, Any]] = {}
    for number, written in enumerate(text.split("\n"), 1):
        if written.strip():
            rows[number] = row = _json(written)
            if not isinstance(row, Mapping):
                return None
    return rows or None


def _long_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(number, object) of each line of a file that is not read whole."""
    read = 0
    with opened(path, "rb") as file:
        for number, written in enumerate(lines_of(cast(BinaryIO, file), path), 1):
            read += len(written)
            if read > LINES_BYTES:
                raise SggError(f"{path}: longer than {LINES_BYTES >> 30} GiB.")
            if written.strip():
                row = _json(written.decode("utf-8-sig"))
                if not isinstance(row, Mapping):
                    raise SggError(f"{path}, line {number}: no JSON object. {FORMS}")
                yield number, row


def _chosen(
    rows: Iterable[tuple[int, Mapping[str, Any]]], path: Path, image: Path | None, line: int | None
) -> GraphRow:
    """The row with a number, the only one, or the only one of this image."""
    count = 0
    found: dict[int, Mapping[str, Any]] = {}
    first = None
    for number, row in rows:
        count += 1
        first = first or (number, row)
        if number == line or (line is None and image is not None and _names(row, image)):
            found[number] = row
    if line is not None and not found:
        raise SggError(f"line={line}: {path} has no object there, and {count:,} lines.")
    if count == 1 and first is not None:
        found = dict([first])
    if len(found) != 1:
        of = "" if image is None else f", {len(found) or 'none'} of them of {image.name}"
        raise SggError(f"{path}: {count:,} lines{of}. Say which: line=1, line=2, …")
    ((number, row),) = found.items()
    return _row(row, f"{path}, line {number}")


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
