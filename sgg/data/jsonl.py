"""Your own data: one graph a line beside a folder of pictures.

A line: {"image": FILE, "width": W, "height": H, "objects": [{"id", "bbox"}], "relationships":
[{"subject", "predicate", "object"}]}, boxes xyxy in pixels. Optional: "image_id" (else the file
name's stem), "vocabulary" (vg150, psg or shapes, for the unknown-class check). `width` and `height`
may be left out; then the picture is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.reader import existing_file, file_identity, file_ref
from sgg.errors import SggError
from sgg.graph import Triplet, name_of_id


class JsonlReader:
    """Lines of one annotation file."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(self, file: Path, images: Path, key: str) -> None:
        self._file = existing_file(file, key)
        self._images = images
        text = file.read_text(encoding="utf-8", errors="replace")
        self._lines = [line for line in text.splitlines() if line.strip()]
        if not self._lines:
            raise SggError(f"{key}: {file} has no lines.")

    def __len__(self) -> int:
        return len(self._lines)

    def identity(self) -> str:
        """Digest of the annotation file."""
        return file_identity([self._file])

    def read(self, index: int) -> RawExample:
        """One line; see `Reader.read`."""
        try:
            row = json.loads(self._lines[index])
            name = str(row["image"])
            width, height = row.get("width"), row.get("height")
            if width is None or height is None:
                with Image.open(self._images / name) as image:
                    width, height = ImageOps.exif_transpose(image).size
            objects, relations = parse_items(row["objects"], row["relationships"])
            return RawExample(
                image_id=str(row.get("image_id", Path(name).stem)),
                image_ref=file_ref(self._images, name),
                width=int(width),
                height=int(height),
                objects=objects,
                relations=relations,
                columns={k: str(row[k]) for k in ("vocabulary",) if k in row},
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            where = f"{self._file.name}:{index + 1}"
            return RawExample.unreadable(where, error)


def parse_items(
    objects: Any, relationships: Any
) -> tuple[tuple[RawObject, ...], tuple[RawRelation, ...]]:
    """The two lists of the published JSON form as raw items; boxes are judged later.

    Raises:
        KeyError, TypeError, AttributeError: the lists do not have the form at all.

    """
    return (
        tuple(_raw_object(item) for item in objects),
        tuple(
            RawRelation(str(r["subject"]), str(r["predicate"]), str(r["object"]))
            for r in relationships
        ),
    )


def _raw_object(item: Mapping[str, Any]) -> RawObject:
    try:
        box = tuple(float(v) for v in item["bbox"])
    except (TypeError, ValueError):
        box = ()
    return RawObject(str(item["id"]), name_of_id(str(item["id"])), box)
