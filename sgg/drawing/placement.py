"""Where the labels of a picture stand: near what they name, on no other label while there is room.

Each label tries places around its box, or along its arrow, and takes the one that covers least. Where all of
these are taken, it goes to the nearest free place of the canvas, and a line leads back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgg.drawing.arrows import Point, Rect
from sgg.drawing.belonging import dense, unclear

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

MOST_CELLS = 30_000
"""Cells of the canvas, at most, by which it is measured what labels cover."""
_REACHES = (6.0, 25.0, float("inf"))
"""How far from what it names a free place is looked for, in font sizes: near ones first, for speed."""
_ASKED = tuple(step / 10 for step in range(11))
"""Where along an arrow it is asked whether its own label hides it."""
_HIDDEN = 2.5
"""What a label costs that hides all of its arrow."""
_UNCLEAR = 1.5
"""What a label costs that is as near to another arrow as to its own."""
_DEAR = 2.0
"""Cost from which a label rather goes where it is free."""
_LINE, _HEAD, _TAIL, _INSIDE = 0.12, 1.5, 0.3, 0.04
"""What covering a cell costs, in font sizes of distance: of an arrow's line, its ends, a small box."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Places that one label would take, best first, and what it names."""

    size: tuple[float, float]
    """Width and height in pixels."""
    corners: tuple[Point, ...]
    """Upper left corners."""
    costs: tuple[float, ...]
    """What each place costs by itself, in font sizes of distance."""
    named: Rect
    """What the label names: a box, or the middle of an arrow."""


def around_box(box: Rect, size: tuple[float, float]) -> Wish:
    """Places of an object's label: above its box, else inside at the top, else at another side."""
    (w, h), (x1, y1, x2, y2) = size, box
    places = {
        (x1, y1 - h): 0.0,
        (x1, y1): 0.3,
        (x2 - w, y1 - h): 0.4,
        (x1, y2): 0.5,
        (x2 - w, y1): 0.6,
        (x2 - w, y2): 0.7,
        (x1, y2 - h): 0.7,
        (x2 - w, y2 - h): 0.8,
        (x2, y1): 0.8,
        (x1 - w, y1): 0.8,
        ((x1 + x2 - w) / 2, y1 - h): 0.8,
        ((x1 + x2 - w) / 2, y2): 0.9,
        (x2, y2 - h): 0.9,
        (x1 - w, y2 - h): 0.9,
    }
    return Wish(size, tuple(places), tuple(places.values()), box)


def along_arrows(
    paths: Sequence[Sequence[Point]], sizes: Sequence[tuple[float, float]], unit: float
) -> list[Wish]:
    """Places of all relations' labels, dearer where a label could as well be another arrow's."""
    lines = [dense(path, unit) for path in paths]
    every = np.concatenate(lines) if lines else np.empty((0, 2))
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    wishes = []
    for i, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        wish = _along_arrow(path, size)
        doubts = unclear(np.array(wish.corners), size, lines[i], every[owner != i], unit)
        costs = np.array(wish.costs) + _UNCLEAR * doubts
        wishes.append(replace(wish, costs=tuple(costs.tolist())))
    return wishes


def _along_arrow(points: Sequence[Point], size: tuple[float, float]) -> Wish:
    """Places of a relation's label: on its arrow near the middle, or beside it where it would hide it."""
    (w, h), places = size, {}
    for share, base in ((0.5, 0.0), (0.4, 0.2), (0.6, 0.2), (0.3, 0.4), (0.7, 0.4)):
        (x, y), (u, v) = _at(points, share)
        places[x - w / 2, y - h / 2] = base
        reach = abs(v) * w / 2 + abs(u) * h / 2 + 3
        for side in (-1, 1):
            for away, cost in ((reach, 0.9), (reach + 0.8 * h, 1.5)):
                place = x - side * away * v - w / 2, y + side * away * u - h / 2
                places.setdefault(place, base + cost)
    middle, _ = _at(points, 0.5)
    spots = np.array([_at(points, share)[0] for share in _ASKED])
    corners = np.array([*places])[:, None]
    hidden = ((corners <= spots) & (spots <= corners + size)).all(axis=2).mean(axis=1)
    costs = np.array([*places.values()]) + _HIDDEN * hidden
    return Wish(size, tuple(places), tuple(costs.tolist()), middle * 2)


def _at(points: Sequence[Point], share: float) -> tuple[Point, Point]:
    """(the point at a share of a line's length, its direction of length 1)."""
    line = np.asarray(points)
    steps = np.hypot(*np.diff(line, axis=0).T)
    ends = np.cumsum(steps)
    if not ends[-1]:
        return points[0], (1.0, 0.0)
    place = int(np.searchsorted(ends, share * ends[-1]))
    part = (share * ends[-1] - ends[place]) / steps[place] + 1
    (x1, y1), (x2, y2) = points[place], points[place + 1]
    return (x1 + (x2 - x1) * part, y1 + (y2 - y1) * part), (
        (x2 - x1) / float(steps[place]),
        (y2 - y1) / float(steps[place]),
    )


class Canvas:
    """What the labels of one picture cover, and where there is room.

    Args:
        size: width and height in pixels.
        unit: the font size in pixels.
        boxes: of all objects, in pixels.
        arrows: the points of each.

    """

    def __init__(
        self,
        size: tuple[float, float],
        unit: float,
        boxes: Sequence[Rect],
        arrows: Sequence[Sequence[Point]],
    ) -> None:
        width, height = size
        self.width = width
        self._size, self._unit = np.array(size), unit
        self._cell = max(unit / 2, (width * height / MOST_CELLS) ** 0.5)
        self._shape = tuple(max(1, int(side / self._cell)) for side in (height, width))
        self._taken: list[Rect] = []
        self._held = np.zeros(self._shape, dtype=np.int32)
        self._full: list[tuple[int, int]] = []  # sizes in cells that have no place any more
        self._cost = _sums(self._costs(boxes, arrows))

    def take(self, wish: Wish) -> Rect:
        """The place of a label, which others then leave free."""
        corners = np.clip(np.array(wish.corners), 0, np.maximum(self._size - wish.size, 0))
        moved = np.abs(corners - wish.corners).sum(axis=1) / self._unit
        costs = np.array(wish.costs) + moved + self._covering(corners, wish.size)
        overlaps = self._overlaps(corners, wish.size)
        best = int(np.lexsort((costs, overlaps))[0])
        x, y = corners[best].tolist()
        is_taken = overlaps[best] > 0
        if is_taken or costs[best] > _DEAR:
            free = self._free_place(wish)
            if free is not None and (is_taken or free[1] + 0.5 < costs[best]):
                x, y = free[0]
        rect = x, y, x + wish.size[0], y + wish.size[1]
        self._taken.append(rect)
        left, top, right, bottom = (v / self._cell for v in rect)
        self._held[int(top) : int(-(-bottom // 1)), int(left) : int(-(-right // 1))] = 1
        return rect

    def _overlaps(self, corners: Floats, size: tuple[float, float]) -> Floats:
        """Area that each place shares with labels that stand."""
        if not self._taken:
            return np.zeros(len(corners))
        taken = np.array(self._taken)
        shared = 1.0
        for axis in (0, 1):
            near, far = corners[:, axis, None], corners[:, axis, None] + size[axis]
            low = np.maximum(near, taken[:, axis])
            shared = shared * np.maximum(np.minimum(far, taken[:, axis + 2]) - low, 0)
        return np.asarray(np.sum(shared, axis=1))

    def _covering(self, corners: Floats, size: tuple[float, float]) -> Floats:
        """What covering the cells of each place costs."""
        rows, columns = self._shape
        left, top = np.minimum(corners / self._cell, [columns - 1, rows - 1]).astype(int).T
        right, bottom = (np.ceil((corners + size) / self._cell)).astype(int).T
        right, bottom = np.clip(right, left + 1, columns), np.clip(bottom, top + 1, rows)
        return _within(self._cost, top, bottom, left, right)

    def _free_place(self, wish: Wish) -> tuple[Point, float] | None:
        """The best place among the cells that no label touches, and its cost; None where there is none."""
        across, down = (int(-(-side // self._cell)) for side in wish.size)
        rows, columns = self._shape
        if across > columns or down > rows or any(a <= across and d <= down for a, d in self._full):
            return None
        sums = _sums(self._held)
        for reach in _REACHES:
            found = self._free_place_within(reach * self._unit, wish, (across, down), sums)
            if found is not None:
                return found
        self._full.append((across, down))
        return None

    def _free_place_within(
        self, reach: float, wish: Wish, window: tuple[int, int], sums: NDArray[Any]
    ) -> tuple[Point, float] | None:
        """The same among the places that begin at most so many pixels from what is named."""
        (across, down), (rows, columns) = window, self._shape
        x1, y1, x2, y2 = wish.named
        low = [max(0.0, x1 - reach - wish.size[0]), max(0.0, y1 - reach - wish.size[1])]
        left, top = (
            int(min(v / self._cell, most)) for v, most in zip(low, (columns, rows), strict=True)
        )
        right = int(min((x2 + reach) / self._cell + 1, columns - across + 1))
        bottom = int(min((y2 + reach) / self._cell + 1, rows - down + 1))
        if right <= left or bottom <= top:
            return None
        part = slice(top, bottom + down), slice(left, right + across)
        free_rows, free_columns = np.nonzero(_sliding(sums[part], across, down) == 0)
        if not len(free_rows):
            return None
        corners = np.stack([free_columns + left, free_rows + top], axis=1) * self._cell
        apart = np.maximum([x1, y1] - (corners + wish.size), corners - [x2, y2])
        distance = np.hypot(*np.maximum(apart, 0).T) / self._unit
        covering = _sliding(self._cost[part], across, down)[free_rows, free_columns]
        costs = distance / 2 + covering
        best = int(np.argmin(costs))
        x, y = corners[best].tolist()
        return (x, y), float(costs[best])

    def _costs(self, boxes: Sequence[Rect], arrows: Sequence[Sequence[Point]]) -> Floats:
        """What covering each cell costs."""
        cells = np.zeros(self._shape)
        limit = np.array(self._shape)[::-1] - 1
        for points in arrows:
            line = np.asarray(points)
            for start, end in pairwise(line):
                steps = int(np.hypot(*(end - start)) / self._cell) + 2
                spots = start + (end - start) * np.linspace(0, 1, steps)[:, None]
                near_tail, near_head = (
                    np.hypot(*(spots - tip).T) < self._unit for tip in (line[0], line[-1])
                )
                costs = np.where(near_head, _HEAD, np.where(near_tail, _TAIL, _LINE))
                columns, rows = np.minimum(spots / self._cell, limit).astype(int).T
                cells[rows, columns] = np.maximum(cells[rows, columns], costs)
        largest = 60 * self._unit**2
        for x1, y1, x2, y2 in boxes:
            if (x2 - x1) * (y2 - y1) < largest:
                left, top, right, bottom = (int(v / self._cell) for v in (x1, y1, x2, y2))
                cells[top : bottom + 1, left : right + 1] += _INSIDE
        return cells


def leader(rect: Rect, named: Rect, unit: float) -> tuple[Point, Point] | None:
    """The line from a label to what it names; None where it stands close to that.

    Args:
        rect: the label's.
        named: a box, or a point as one.
        unit: the font size in pixels.

    """
    (ax, bx), (ay, by) = (_nearest(rect[i], rect[i + 2], named[i], named[i + 2]) for i in (0, 1))
    if np.hypot(ax - bx, ay - by) <= 1.2 * unit:
        return None
    return (ax, ay), (bx, by)


def _nearest(a1: float, a2: float, b1: float, b2: float) -> tuple[float, float]:
    """The nearest values of two intervals; where they meet, the middle of what they share."""
    if a2 < b1:
        return a2, b1
    if b2 < a1:
        return a1, b2
    middle = (max(a1, b1) + min(a2, b2)) / 2
    return middle, middle


def _sums(cells: NDArray[Any]) -> NDArray[Any]:
    """Sums of all cells above and to the left, shape (rows + 1, columns + 1)."""
    sums = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1), dtype=cells.dtype)
    np.cumsum(cells, axis=0, out=sums[1:, 1:])
    return np.cumsum(sums, axis=1, out=sums)


def _within(sums: Floats, top: Ints, bottom: Ints, left: Ints, right: Ints) -> Floats:
    """Sums of the cells of rectangles, ends excluded."""
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]


def _sliding(sums: NDArray[Any], across: int, down: int) -> NDArray[Any]:
    """Sums of the cells of every rectangle of that many cells."""
    strip = sums[down:] - sums[:-down]
    return strip[:, across:] - strip[:, :-across]
