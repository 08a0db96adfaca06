"""A checked split as the rest of the house reads it: gold graphs, examples and image ids.

How a row is stored (graph and columns as JSON) is known here and in `prepare`, and to nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sgg.data.example import Example
from sgg.data.images import ImageStore
from sgg.scene.graph import SceneGraph, from_dict

if TYPE_CHECKING:
    from PIL.Image import Image

_AT_ONCE = 128
"""Rows that are read together."""


@dataclass(frozen=True)
class Prepared:
    """A checked split."""

    rows: Any
    """`datasets.Dataset` with image_id, image_ref, width, height, graph and columns (JSON), and
    digest, by which images are told apart (empty where there is none)."""
    report: dict[str, Any]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    """What whoever uses the split should know, in sentences."""
    refusal: str = ""
    """Why no run should use it (`loss.without_objects`); empty where one may."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_ids(self) -> list[str]:
        """In the split's order."""
        return list(self.rows["image_id"])

    def first(self, count: int) -> Prepared:
        """The split with its first images alone."""
        return replace(self, rows=self.rows.select(range(min(count, len(self)))))

    def gold(self, index: int) -> dict[str, Any]:
        """A row without its image: image_id, width, height, graph (`SceneGraph`), columns."""
        return decode_row(self.rows[index])

    def golds(self, indices: range | None = None) -> Iterator[dict[str, Any]]:
        """As `gold` of each index, of all without `indices` (a range of step 1); rows are read in blocks."""
        places = range(len(self)) if indices is None else indices
        for start in range(places.start, places.stop, _AT_ONCE):
            columns = self.rows[start : min(start + _AT_ONCE, places.stop)]
            for values in zip(*columns.values(), strict=True):
                yield decode_row(dict(zip(columns, values, strict=True)))

    def graphs(self) -> Iterator[SceneGraph]:
        """The gold graphs alone, in the split's order."""
        return (from_dict(json.loads(text)) for text in self.rows["graph"])

    def example(self, index: int, store: ImageStore) -> Example:
        """A row with its image."""
        return example(self.rows[index], store)

    def stored_gold(self) -> dict[str, tuple[int, int, str]]:
        """Width, height and graph of each image as they are stored: equal where gold is equal."""
        columns = (self.rows[name] for name in ("width", "height", "graph"))
        return dict(zip(self.image_ids, zip(*columns, strict=True), strict=True))


def decode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored row with its graph and columns as objects."""
    graph, columns = from_dict(json.loads(row["graph"])), json.loads(row["columns"])
    return {**row, "graph": graph, "columns": columns}


def example(row: Mapping[str, Any], store: ImageStore) -> Example:
    """A stored row with its image."""
    gold = decode_row(row)
    return Example(
        gold["image_id"],
        image_of(gold, store),
        gold["width"],
        gold["height"],
        gold["graph"],
        gold["columns"],
    )


def image_of(gold: Mapping[str, Any], store: ImageStore) -> Image:
    """The image of a row that `Prepared.gold` gave."""
    return store.load(gold["image_ref"], gold["graph"], gold["width"], gold["height"])
