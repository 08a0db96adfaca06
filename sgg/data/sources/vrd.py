"""VRD relations as SGG-Seq2Seq lays them out: boxes [y1, y2, x1, x2], classes 0-based.

An object is a (class, box) pair: the file repeats it in each relation, so equal pairs are one object.
Image sizes come from the COCO-like detections file of the same split.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.fields import box_of, take
from sgg.data.sources.base import (
    ROW_ERRORS,
    at,
    distinct_ids,
    file_identity,
    file_ref,
    find_file,
    load_json,
)
from sgg.data.sources.source import DataSource, Split
from sgg.data.written import pixels
from sgg.errors import SggError
from sgg.scene.graph import Triplet


class VrdReader:
    """One split: new_annotations_SPLIT.json and detections_SPLIT.json."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(self, root: Path, images: Path | None, split: str) -> None:
        key = "data.root"
        self._images = images
        self._files = [
            find_file(root, [f"{kind}_{split}.json", f"{kind}_{split}.json.gz"], key)
            for kind in ("new_annotations", "detections")
        ]
        self._files += [
            find_file(root, ["objects.json"], key),
            find_file(root, ["predicates.json"], key),
        ]

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        """Relations by file name, detections, classes and predicates."""
        content = tuple(load_json(f, "data.root") for f in self._files)
        forms = (dict, dict, list, list)
        for file, value, form in zip(self._files, content, forms, strict=True):
            if not isinstance(value, form):
                kind = "object" if form is dict else "array"
                raise SggError(f"data.root: {file} has not VRD's form (a JSON {kind}).")
        return content

    @cached_property
    def _rows(self) -> list[tuple[str, Any]]:
        return list(self._content[0].items())

    @cached_property
    def _infos(self) -> dict[str, dict[str, Any]]:
        return {i["file_name"]: i for i in self._content[1].get("images", ()) if "file_name" in i}

    @cached_property
    def _ids(self) -> dict[str, str]:
        return distinct_ids(self._content[0], lambda path: path.stem)

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the four files."""
        return file_identity(self._files)

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        name, rows = self._rows[index]
        objects: dict[tuple[int, tuple[float, ...]], RawObject] = {}
        try:
            info = take(self._infos, name, f'"images" of {self._files[1].name}')
            width, height = (pixels(take(info, k, "the image")) for k in ("width", "height"))
            relations = tuple(
                self._relation(row, objects, f"[{place}]") for place, row in enumerate(rows)
            )
        except ROW_ERRORS as error:
            return RawExample.unreadable(name, error, self._files[0].name)
        return RawExample(
            image_id=self._ids[name],
            image_ref=file_ref(self._images, name),
            width=width,
            height=height,
            objects=tuple(objects.values()),
            relations=relations,
        )

    def _relation(
        self,
        row: dict[str, Any],
        objects: dict[tuple[int, tuple[float, ...]], RawObject],
        where: str,
    ) -> RawRelation:
        subject = self._object(take(row, "subject", where), objects, f"{where}.subject")
        number = take(row, "predicate", where)
        name, problem = at(self._content[3], number, "no_predicate")
        obj = self._object(take(row, "object", where), objects, f"{where}.object")
        return RawRelation(subject, name, obj, problem)

    def _object(
        self,
        item: dict[str, Any],
        objects: dict[tuple[int, tuple[float, ...]], RawObject],
        where: str,
    ) -> str:
        """The id of an object, entered at its first mention."""
        box, odd = box_of(item, where)
        category = take(item, "category", where)
        name, problem = at(self._content[2], category, "no_class")
        if len(box) == 4:
            y1, y2, x1, x2 = box
            box = x1, y1, x2, y2
        key = (category, box)
        if key not in objects:
            objects[key] = RawObject(f"{name}.{len(objects) + 1}", name, box, problem, odd)
        return objects[key].id


def _open(split: Split) -> VrdReader:
    return VrdReader(split.root(), split.images(), split.config.name or "train")


SOURCE = DataSource(
    _open,
    form='{FILE: [{"subject": {"category", "bbox"}, "predicate", "object": {"category", "bbox"}}]}',
    reads_path=False,
)
