"""OpenPSG's psg.json: boxes xyxy, classes 0-based over things then stuff, relations [s, o, predicate]."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.reader import (
    ROW_ERRORS,
    at,
    file_identity,
    file_ref,
    find_file,
    id_at,
    load_json,
    unreadable,
)
from sgg.errors import SggError
from sgg.graph import Triplet


class PsgReader:
    """The train or test part of psg.json; test is what `test_image_ids` lists."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(self, root: Path, images: Path | None, split: str | None) -> None:
        self._file = find_file(root, ["psg.json", "psg*.json", "psg*.json.gz"], "data.root")
        self._images = images
        self._split = split
        if split not in (None, "train", "test"):
            raise SggError(f"data split name {split}: psg.json has train and test.")

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = load_json(self._file, "data.root")
        wanted = {"data", "thing_classes", "stuff_classes", "predicate_classes"}
        missing = wanted - set(content if isinstance(content, dict) else ())
        if missing:
            raise SggError(f"data.root: {self._file} has no {', '.join(sorted(missing))}.")
        return content

    @cached_property
    def _classes(self) -> list[str]:
        return [*self._content["thing_classes"], *self._content["stuff_classes"]]

    @cached_property
    def _rows(self) -> list[Any]:
        rows: list[Any] = self._content["data"]
        if self._split is None:
            return rows
        test = {str(i) for i in self._content.get("test_image_ids", ())}
        wanted = self._split == "test"
        return [r for r in rows if (_id(r) in test) == wanted]

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the file."""
        return file_identity([self._file])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        row = self._rows[index]
        try:
            return self._example(row)
        except ROW_ERRORS as error:
            return unreadable(row, index, error)

    def _example(self, row: dict[str, Any]) -> RawExample:
        names = [at(self._classes, a["category_id"]) for a in row["annotations"]]
        predicates = self._content["predicate_classes"]
        ids = [f"{name}.{i + 1}" for i, name in enumerate(names)]
        boxes = [tuple(map(float, a["bbox"])) for a in row["annotations"]]
        return RawExample(
            image_id=str(row["image_id"]),
            image_ref=file_ref(self._images, row["file_name"]),
            width=int(row["width"]),
            height=int(row["height"]),
            objects=tuple(map(RawObject, ids, names, boxes)),
            relations=tuple(
                RawRelation(id_at(ids, s), at(predicates, p), id_at(ids, o))
                for s, o, p in row["relations"]
            ),
        )


def _id(row: Any) -> str:
    return str(row.get("image_id")) if isinstance(row, dict) else ""
