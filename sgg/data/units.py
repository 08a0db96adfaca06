"""In which unit the boxes of a set are written, where they are not in pixels.

Shares of the sides, 0 to 1, show in each box: in pixels it would lie within the first pixel. Percent and
thousandths of the sides (as Qwen's models write boxes) show only in many: no box passes 100, or 1000, though
the images are half as large again; or boxes pass the edges of smaller images and stop there. A few boxes, or
those of images of about that size, may be pixels as well: of them nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite

LIMITS = {"percent_boxes": 100, "thousandth_boxes": 1000}
"""Kinds of `clean.KINDS`, and the number that stands for the whole side."""
ENOUGH = 20
"""Boxes from which on something is said."""
_LARGER, _SMALLER = 1.5, 0.8
"""Images that say something have both sides over, or both under, these multiples of the limit."""
_REACH = 0.8
"""A box must reach this share of the limit to the right, and one to the bottom."""
_BEYOND = 0.01
"""Share of the boxes that may pass the limit."""
_PAST = 0.25
"""Share of the boxes that must pass the edges of the smaller images."""


def in_first_pixel(box: tuple[float, ...], width: int, height: int) -> bool:
    """Whether a box (four numbers, as corners or with a size) lies in 0..1, give or take a share."""
    return min(width, height) > 4 and min(box) >= -0.5 and max(box) <= 1.5


def reach(boxes: Iterable[tuple[float, ...]], width: int, height: int) -> Counter[str]:
    """Counts of the boxes of an image, as corners in their own unit, that `suspects` decides by."""
    counts: Counter[str] = Counter()
    for box in boxes:
        if len(box) != 4 or not all(map(isfinite, box)) or max(box) <= 1.5:
            continue
        for kind, limit in LIMITS.items():
            if min(width, height) >= _LARGER * limit:
                counts[f"{kind} larger"] += 1
            elif max(width, height) <= _SMALLER * limit:
                counts[f"{kind} smaller"] += 1
                counts[f"{kind} past"] += box[2] > 1.02 * width or box[3] > 1.02 * height
            counts[f"{kind} beyond"] += max(box) > 1.01 * limit
            counts[f"{kind} right"] += box[2] >= _REACH * limit
            counts[f"{kind} bottom"] += box[3] >= _REACH * limit
    return counts


def suspects(counts: Mapping[str, int]) -> dict[str, int]:
    """The kinds of unit that a set's counts speak for, and by how many boxes."""
    found = {}
    for kind in LIMITS:
        beyond, larger, smaller, past, right, bottom = (
            counts.get(f"{kind} {what}", 0)
            for what in ("beyond", "larger", "smaller", "past", "right", "bottom")
        )
        says = (larger if larger >= ENOUGH else 0) + (
            smaller if smaller >= ENOUGH and past >= _PAST * smaller else 0
        )
        if says and beyond <= _BEYOND * says and right and bottom:
            found[kind] = says
    return found
