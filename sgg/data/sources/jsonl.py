"""Your own data: one graph a line beside a folder of images.

A line: {"image": FILE, "width": W, "height": H, "objects": [{"id", "bbox"}], "relationships":
[{"subject", "predicate", "object"}]}, boxes xyxy in pixels. The id names the class (`person.1`),
unless the object has a "name". Optional: "image_id" (else the file's path, without its suffix where no
other file of the set has the same),
"vocabulary" (vg150, psg or shapes, for the unknown-class check). `width` and `height` may be left
out; then the image is asked. UTF-8, with or without byte order mark, any line ends.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data import published_keys
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.images import look
from sgg.data.packed import DAMAGED, open_unpacked
from sgg.data.sources.base import (
    ROW_ERRORS,
    distinct_ids,
    existing_file,
    file_identity,
    file_ref,
    too_large,
)
from sgg.data.sources.source import DataSource, Split
from sgg.data.vocab_file import is_name
from sgg.data.written import image_id, numbers, pixels
from sgg.errors import SggError
from sgg.scene.graph import Triplet, name_of_id


class JsonlReader:
    """Lines of one annotation file."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(self, file: Path, images: Path, key: str) -> None:
        self._file = existing_file(file, key)
        self._images = images
        self._key = key

    @cached_property
    def _lines(self) -> list[tuple[int, bytes]]:
        """(number in the file, line) of all lines that are not blank."""
        try:
            with open_unpacked(self._file) as file:
                content = file.read()
        except DAMAGED as error:
            raise SggError(
                f"{self._key}: {self._file} is damaged gzip data ({error}). Copy the file again."
            ) from error
        except MemoryError as error:
            raise too_large(self._file, self._key) from error
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SggError(f"{self._key}: {self._file} is UTF-16; write it as UTF-8.")
        content = content.removeprefix(codecs.BOM_UTF8)
        # bytes: splitlines of text would also split at U+2028, which JSON strings may hold
        lines = [(n, line) for n, line in enumerate(content.splitlines(), 1) if line.strip()]
        if not lines:
            raise SggError(f"{self._key}: {self._file} has no lines.")
        if lines[0][1].lstrip().startswith(b"["):
            raise SggError(
                f"{self._key}: {self._file} is one JSON array; needed is one object a line. "
                f"`jq -c '.[]' {self._file.name} > lines.jsonl` writes them."
            )
        return lines

    @cached_property
    def _ids(self) -> dict[str, str]:
        """The image id of each file that a line names without an id of its own."""
        names, given = [], set()
        for _, line in self._lines:
            try:
                row = json.loads(line.decode("utf-8"))
                if row.get("image_id") is None:
                    names.append(str(row["image"]))
                else:
                    given.add(str(row["image_id"]))
            except ROW_ERRORS:
                continue  # counted when the row is read
        return distinct_ids(names, lambda path: str(path.with_suffix("")), given)

    def __len__(self) -> int:
        assert self._ids is not None  # of all lines, so before processes that read them are forked
        return len(self._lines)

    def identity(self) -> str:
        """Digest of the annotation file."""
        return file_identity([self._file])

    def read(self, index: int) -> RawExample:
        """One line; see `Reader.read`."""
        number, line = self._lines[index]
        try:
            row = json.loads(line.decode("utf-8"))
            if b"\\ud" in line.lower():  # half a surrogate pair: no table can hold it
                json.dumps(row, ensure_ascii=False).encode("utf-8")
            published_keys.check_line(row)
            name = str(row["image"])
            if not Path(name).name:
                raise ValueError(f"image {name!r} names no file")
            given, width, height = (row.get(key) for key in ("image_id", "width", "height"))
            problem = ""
            if width is None or height is None:
                (width, height), problem = look(self._images / name, decode=False)
            objects, relations = parse_items(row["objects"], row["relationships"])
            return RawExample(
                image_id=self._ids[name] if given is None else image_id(given),
                image_ref=file_ref(self._images, name),
                width=pixels(width),
                height=pixels(height),
                objects=objects,
                relations=relations,
                columns={k: str(row[k]) for k in ("vocabulary",) if k in row},
                image_problem=problem,
            )
        except ROW_ERRORS as error:
            return RawExample.unreadable(f"{self._file.name}:{number}", error)


def parse_items(
    objects: Any, relationships: Any
) -> tuple[tuple[RawObject, ...], tuple[RawRelation, ...]]:
    """The two lists of the published JSON form as raw items; boxes are judged later.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: the lists do not have the form at all.

    """
    return (
        tuple(_raw_object(item) for item in objects),
        tuple(_raw_relation(item) for item in relationships),
    )


def _raw_object(item: Mapping[str, Any]) -> RawObject:
    box, odd = numbers(item.get("bbox"))
    written_id, name = item["id"], item.get("name") or None
    if name is not None and not is_name(name):
        return RawObject(str(written_id), str(name), box, "no_class")
    if name is None and not is_name(written_id):
        raise ValueError(f'object id {written_id} names no class: add "name", or write NAME.NUMBER')
    return RawObject(str(written_id), name or name_of_id(written_id), box, odd=odd)


def _raw_relation(item: Mapping[str, Any]) -> RawRelation:
    predicate = item["predicate"]
    problem = "" if is_name(predicate) else "no_predicate"
    return RawRelation(str(item["subject"]), str(predicate), str(item["object"]), problem)


def _open(split: Split) -> JsonlReader:
    root, images = split.root(), split.images()
    return JsonlReader(split.file(), images or root, split.key)


SOURCE = DataSource(
    _open,
    form='{"image", "objects": [{"id", "bbox"}], "relationships": [{"subject", "predicate", '
    '"object"}]} on each line',
    reads_name=False,
    reads_box_format=True,
)
