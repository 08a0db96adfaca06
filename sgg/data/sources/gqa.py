"""GQA scene graphs: boxes x, y, w, h; objects and relations under string ids; attributes unused."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.fields import take
from sgg.data.sources.base import ROW_ERRORS, existing_file, file_identity, file_ref, load_json
from sgg.data.sources.source import DataSource, Split
from sgg.data.vocab_file import is_name
from sgg.data.written import numbers, pixels
from sgg.errors import SggError
from sgg.scene.graph import Triplet


class GqaReader:
    """One scene-graph file."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(self, file: Path, images: Path | None, key: str) -> None:
        self._file = existing_file(file, key)
        self._images = images
        self._key = key

    @cached_property
    def _rows(self) -> list[tuple[str, Any]]:
        content = load_json(self._file, self._key)
        if not isinstance(content, dict):
            raise SggError(
                f"{self._key}: {self._file} is no GQA scene-graph file (a JSON object by image id)."
            )
        return list(content.items())

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the file."""
        return file_identity([self._file])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        image_id, row = self._rows[index]
        try:
            objects, relations = [], []
            for object_id, item in take(row, "objects", "the image").items():
                where = f'objects["{object_id}"]'
                box, odd = numbers([take(item, k, where) for k in "xywh"])
                corners = (*box[:2], box[0] + box[2], box[1] + box[3]) if box else ()
                name = take(item, "name", where)
                problem = "" if is_name(name) else "no_class"
                objects.append(RawObject(object_id, str(name), corners, problem, odd))
                for place, r in enumerate(take(item, "relations", where)):
                    name, end = (
                        take(r, k, f"{where}.relations[{place}]") for k in ("name", "object")
                    )
                    problem = "" if is_name(name) else "no_predicate"
                    relations.append(RawRelation(object_id, str(name), str(end), problem))
            return RawExample(
                image_id=image_id,
                image_ref=file_ref(self._images, f"{image_id}.jpg"),
                width=pixels(take(row, "width", "the image")),
                height=pixels(take(row, "height", "the image")),
                objects=tuple(objects),
                relations=tuple(relations),
            )
        except ROW_ERRORS as error:
            return RawExample.unreadable(image_id, error, self._file.name)


def _open(split: Split) -> GqaReader:
    images = split.images()
    return GqaReader(split.file(), images, split.key)


SOURCE = DataSource(
    _open,
    form='{IMAGE_ID: {"width", "height", "objects": {ID: {"name", "x", "y", "w", "h", '
    '"relations": [{"name", "object"}]}}}}',
    reads_name=False,
)
