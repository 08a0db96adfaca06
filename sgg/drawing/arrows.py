"""The course of an arrow from the edge of one box to the edge of another, in pixels of a canvas.

Where boxes lie apart, it follows the line between their centres. Where they overlap or one is inside the
other, that line would hide in them, so it goes between two points of their edges from where it shows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np

Point = tuple[float, float]
Rect = tuple[float, float, float, float]

_STEPS = 12
"""Straight pieces of a curve."""
_ALONG = (0.2, 0.5, 0.8)
"""Where on a side of a box an arrow may begin or end, when the line between centres will not do."""
_LOOKED_AT = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
"""Where on such an arrow it is asked whether a box hides it."""


def courses(
    boxes: Sequence[Rect], ends: Sequence[tuple[int, int]], canvas: tuple[float, float], unit: float
) -> list[tuple[Point, ...]]:
    """The points of each arrow, in the canvas; arrows of one pair, in either direction, bend apart.

    Args:
        ends: (subject, object) of each arrow, as places in `boxes`; equal ones make a loop.
        canvas: width and height.
        unit: the font size, which lengths go by.

    """
    several = Counter(frozenset(pair) for pair in ends)
    seen: Counter[tuple[int, int]] = Counter()
    found = []
    for pair in ends:
        number = seen[pair]
        seen[pair] += 1
        subject, obj = pair
        if subject == obj:
            points = _loop(boxes[subject], canvas, unit * (0.9 + 0.5 * number))
        else:
            # each direction bends to its own left, so that opposite arrows part
            bend = unit * (2.0 + 1.8 * number) if several[frozenset(pair)] > 1 else 0.0
            points = _course(boxes[subject], boxes[obj], bend, canvas, unit)
        found.append(_on_canvas(points, canvas))
    return found


def _course(
    a: Rect, b: Rect, bend: float, canvas: tuple[float, float], unit: float
) -> tuple[Point, ...]:
    straight = _between_centres(a, b, bend)
    if straight is None or math.dist(*straight) < 1.5 * unit:
        straight = _between_sides(a, b, canvas, unit)
        bend = bend or 0.8 * unit
        points = _bent(*straight, bend)
        # along the image's edge it bends inwards
        return points if _on_canvas(points, canvas) == points else _bent(*straight, -bend)
    return _bent(*straight, bend)


def _between_centres(a: Rect, b: Rect, bend: float) -> tuple[Point, Point] | None:
    """Where the line between centres leaves one box and meets the other; None where they overlap on it."""
    (ax, ay), (bx, by) = centre(a), centre(b)
    length = math.hypot(bx - ax, by - ay)
    if not length:
        return None
    u, v = (bx - ax) / length, (by - ay) / length
    aside = min(bend / 2, 0.3 * min(a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]))
    shift = v * aside, -u * aside
    start = _way_out(a, u, v, shift)
    end = length - _way_out(b, -u, -v, shift)
    if end <= start:
        return None
    x, y = ax + shift[0], ay + shift[1]
    return (x + u * start, y + v * start), (x + u * end, y + v * end)


def _way_out(box: Rect, u: float, v: float, shift: Point) -> float:
    """How far it is from the shifted centre to the edge, in a direction of length 1."""
    half = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    ways = [
        (side - math.copysign(by, by * d)) / abs(d)
        for side, by, d in zip(half, shift, (u, v), strict=True)
        if abs(d) > 1e-9
    ]
    return max(0.0, min(ways))


def _between_sides(
    a: Rect, b: Rect, canvas: tuple[float, float], unit: float
) -> tuple[Point, Point]:
    """Points of both edges at a distance that shows, the way between them outside of the smaller box."""
    small = min(a, b, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    pairs = np.array([*product(_on_sides(a), _on_sides(b))])  # (pairs, ends, axes)
    way = np.hypot(*(pairs[:, 1] - pairs[:, 0]).T)
    spots = pairs[:, :1] + (pairs[:, 1:] - pairs[:, :1]) * _LOOKED_AT[:, None]
    hidden = ((spots > small[:2]) & (spots < small[2:])).all(axis=2).sum(axis=1)
    at_edge = ((pairs <= 1) | (pairs >= np.array(canvas) - 2)).any(axis=2).sum(axis=1)
    too_short = way < 1.5 * unit
    best = np.argmin(np.abs(way - 4 * unit) + unit * (3 * hidden + 2 * at_edge + 50 * too_short))
    (x1, y1), (x2, y2) = pairs[best].tolist()
    return (x1, y1), (x2, y2)


def _on_sides(box: Rect) -> list[Point]:
    x1, y1, x2, y2 = box
    across = [x1 + (x2 - x1) * t for t in _ALONG]
    down = [y1 + (y2 - y1) * t for t in _ALONG]
    return [(x, y) for x in across for y in (y1, y2)] + [(x, y) for y in down for x in (x1, x2)]


def _bent(start: Point, end: Point, bend: float) -> tuple[Point, ...]:
    """A curve that is `bend` pixels to the left of the straight line in its middle."""
    length = math.dist(start, end)
    if not bend or not length:
        return start, end
    u, v = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    control = (
        (start[0] + end[0]) / 2 + 2 * bend * v,
        (start[1] + end[1]) / 2 - 2 * bend * u,
    )
    points = []
    for step in range(_STEPS + 1):
        t = step / _STEPS
        parts = (1 - t) ** 2, 2 * t * (1 - t), t**2
        near = start, control, end
        x, y = (sum(p * q[axis] for p, q in zip(parts, near, strict=True)) for axis in (0, 1))
        points.append((x, y))
    return tuple(points)


def _loop(box: Rect, canvas: tuple[float, float], radius: float) -> tuple[Point, ...]:
    """Three quarters of a circle around the corner of the box with the most room."""
    x1, y1, x2, y2 = box

    def room(corner: tuple[Point, int]) -> float:
        (x, y), _ = corner
        return min(x, y, canvas[0] - 1 - x, canvas[1] - 1 - y, radius)

    corners = [((x2, y1), 180), ((x1, y1), 90), ((x2, y2), 270), ((x1, y2), 0)]
    (x, y), first = max(corners, key=room)
    angles = [math.radians(first + 270 * step / _STEPS) for step in range(_STEPS + 1)]
    return tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles)


def _on_canvas(points: Sequence[Point], canvas: tuple[float, float]) -> tuple[Point, ...]:
    right, bottom = max(0.0, canvas[0] - 1), max(0.0, canvas[1] - 1)
    return tuple((min(max(x, 0.0), right), min(max(y, 0.0), bottom)) for x, y in points)


def centre(box: Rect) -> Point:
    """The middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
