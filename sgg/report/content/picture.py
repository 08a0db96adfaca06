"""One image of a report: the picture as a small JPEG once, and graphs on it as lines that the page draws."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from sgg.data.images import ImageStore
from sgg.data.prepared_split import image_of
from sgg.drawing.layout import GraphLayout, Label, Marks, layout
from sgg.errors import SggError
from sgg.scene.graph import SceneGraph

SIDE = 380
"""Longer side of the picture as it is shown, pixels: three of them beside each other on a wide screen."""
LARGEST, SMALLEST, ALL = 45_000, 8_000, 32_000_000
"""Bytes of one JPEG, at most and where there are many; of all of a page."""
_QUALITIES = (90, 80, 70, 55, 40, 25)


def jpeg(image: Image.Image, limit: int = LARGEST) -> str:
    """The picture as base64 of a JPEG of about `limit` bytes at most, as good as that allows."""
    small = image.convert("RGB")
    small.thumbnail((SIDE * 3 // 2, SIDE * 3 // 2))
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=quality, optimize=True)
        if buffer.tell() <= limit:
            break
    return base64.b64encode(buffer.getvalue()).decode()


def picture_of(gold: Mapping[str, Any], store: ImageStore, limit: int = LARGEST) -> str:
    """The picture of a row of a prepared split; empty where it was moved or changed since.

    Gold and completions are worth a look without it.
    """
    try:
        return jpeg(image_of(gold, store), limit)
    except (SggError, OSError):
        return ""


def limit_of(images: int) -> int:
    """Bytes that one of so many JPEG files may take."""
    return max(SMALLEST, min(LARGEST, ALL // max(images, 1)))


def shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which a picture is laid out: the longer side is `SIDE`."""
    scale = SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def overlay(
    graph: SceneGraph, width: int, height: int, relations: Sequence[bool] | None = None
) -> dict[str, Any]:
    """A graph on its image, in the pixels of `shown_size`.

    Args:
        graph: boxes in pixels of the image, which is `width` × `height`.
        relations: whether each is a hit; None where that is not said.

    """
    size = shown_size(width, height)
    boxes = graph.boxes_xyxy * np.array([size[0] / width, size[1] / height] * 2)
    marks = None if relations is None else Marks(relations=relations)
    return _compact(layout(graph.with_boxes(boxes), size, marks, smallest_side=1))


def _compact(found: GraphLayout) -> dict[str, Any]:
    """What the page's script reads: `b` boxes, `a` arrows, each with its label (`_label`)."""
    return {
        "f": round(found.font, 1),
        "b": [
            {
                "i": box.index,
                "p": _whole((box.x1, box.y1, box.x2, box.y2)),
                "c": box.colour,
                **_label(box.label),
            }
            for box in found.boxes
        ],
        "a": [
            {
                "i": arrow.index,
                "s": arrow.subject,
                "o": arrow.object,
                "p": _whole([v for point in arrow.path for v in point]),
                "c": arrow.colour,
                "m": arrow.mark,
                **_label(arrow.label),
            }
            for arrow in found.arrows
        ],
        "n": found.note.text if found.note else "",
    }


def _label(label: Label) -> dict[str, Any]:
    """Text `l`, rectangle `r`, and the line `t` to what it names where it stands far from that."""
    shown: dict[str, Any] = {"l": label.text, "r": _whole(label.rect)}
    if label.leader:
        shown["t"] = _whole([v for point in label.leader for v in point])
    return shown


def _whole(values: Sequence[float]) -> list[float]:
    return [round(v) for v in values]
