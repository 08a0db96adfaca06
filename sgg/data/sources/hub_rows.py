"""The published row format: image_id, image, prompt_open, prompt_close, objects, relationships.

The last two are JSON strings (or lists). The image is in the row (`datasets` images, bytes), and then
fetched by row, or the row names a file, which `row_images` finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgg.config.data import ImageCheck, ImageSource
from sgg.data import written
from sgg.data.example import RawExample
from sgg.data.images import Note, look, row_image
from sgg.data.published_keys import check_items
from sgg.data.row_images import Places, name_of, names_in, shortest_names
from sgg.data.rows_table import LinesTable, open_table
from sgg.data.sources.base import ROW_ERRORS, existing_folder, image_digest, unreadable
from sgg.data.sources.jsonl import parse_items
from sgg.data.sources.source import DataSource, Split
from sgg.errors import SggError
from sgg.scene.graph import Triplet

REQUIRED = ("image_id", "image", "objects", "relationships")
SIZE = "image_size"
"""Column of gold without images: [width, height], pixels."""
PROMPTS = ("prompt_open", "prompt_close")


class RowsReader:
    """One split of a data set in the published format."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(
        self,
        path: str,
        split: str | None,
        key: str,
        decode: bool = True,
        files: bool = True,
        images: Path | None = None,
        root: Path | None = None,
    ) -> None:
        """Without `files` the size may be in a column `image_size` instead of in the image."""
        self._decode = decode
        table = open_table(path, split, key)
        self._table, self._identity, self.remarks = table.rows, table.identity, table.remarks
        found = self._table.column_names
        self._sized = not files and SIZE in found
        missing = [c for c in REQUIRED if c not in found and not (c == "image" and self._sized)]
        if missing == ["image"] and SIZE in found:
            raise SggError(
                f"{key}={path}: gold without images. Set data.image_source=painted to go without."
            )
        if missing:
            raise SggError(
                f"{key}={path}: columns {', '.join(missing)} are missing. Needed: "
                f"{', '.join(REQUIRED)}; found: {', '.join(found)}."
            )
        beside = ([root] if root else []) + list(table.folders)
        names = [] if self._sized else names_in(self._table)
        self._places = Places(images, tuple(beside), shortest_names(names))

    def __len__(self) -> int:
        return len(self._table)

    def identity(self) -> str:
        """Digest of the files or of the hub revision."""
        return self._identity

    def read(self, index: int) -> RawExample:
        """One row; see `Reader.read`."""
        row = self._table[index]
        odd: set[str] = set()
        try:
            image_id = written.image_id(row["image_id"])
            items = _list(row["objects"]), _list(row["relationships"])
            check_items(*items)
            objects, relations = parse_items(*items)
            ref, size, problem, looked = self._image(row, index, odd.add)
        except ROW_ERRORS as error:
            return unreadable(row, index, error)
        columns = {c: row[c] for c in PROMPTS if row.get(c)}
        return RawExample(
            image_id,
            ref,
            *size,
            objects,
            relations,
            columns,
            problem,
            looked_for=looked,
            image_odd=frozenset(odd),
            image_digest=self._digest(row),
        )

    def _digest(self, row: Mapping[str, Any]) -> str:
        if self._sized or name_of(row["image"]) or row["image"] is None:
            return ""
        return image_digest(row["image"]["bytes"], self._decode)

    def ids(self) -> list[str]:
        """All image ids, without a look at any image."""
        if isinstance(self._table, LinesTable):
            return [str(self._table[i]["image_id"]) for i in range(len(self))]
        return list(map(str, self._table["image_id"]))

    def _image(
        self, row: Mapping[str, Any], index: int, note: Note
    ) -> tuple[str, tuple[int, int], str, tuple[str, ...]]:
        """Reference, size, problem, and where a missing file was looked for."""
        if self._sized:
            width, height = map(written.pixels, _list(row[SIZE]))
            return f"row:{index}", (width, height), "", ()
        name = name_of(row["image"])
        if not name:
            return f"row:{index}", *look(row_image(row["image"]), self._decode, note), ()
        found = self._places.find(name)
        if found.file is None:
            return "", (0, 0), "no_image", found.looked
        return f"file:{found.file}", *look(found.file, decode=False), ()


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _table(split: Split) -> Any:
    return open_table(_path(split), split.config.name, split.key).rows


def _open(split: Split) -> RowsReader:
    decode = split.data.image_check is ImageCheck.decode
    files = split.data.image_source is ImageSource.files
    return RowsReader(_path(split), split.config.name, split.key, decode, files, *_folders(split))


def _path(split: Split) -> str:
    """A hub id, a folder or a file."""
    path, root = split.config.path, split.data.root
    if path is None:
        raise SggError(f"{split.key} must be given: a hub id, a folder or a file.")
    if not root:
        return path
    below = Path(root) / path
    if not below.expanduser().exists():
        raise SggError(
            f"{split.key}={path}: not below data.root={root}. Name the folder or file there by "
            f"{split.key}=NAME, or leave data.root out, and {path} is a hub id or a path of its own."
        )
    return str(below)


def _folders(split: Split) -> tuple[Path | None, Path | None]:
    """data.image_folder and data.root, below which rows may name files; None where they are not set."""
    named = {"data.image_folder": split.data.image_folder, "data.root": split.data.root}
    images, root = (existing_folder(f, key).resolve() if f else None for key, f in named.items())
    return images, root


def _place(split: Split) -> str:
    path = Path(_path(split)).expanduser()
    return f"{_folders(split)} {path.resolve() if path.exists() else path}"


SOURCE = DataSource(
    _open,
    table=_table,
    place=_place,
    reads_box_format=True,
    has_prompts=True,
)
