"""A picture as a list of plain shapes, in the order in which they are painted.

Whoever paints, paints this list, so all show the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sgg.drawing.arrows import Point, Rect
from sgg.drawing.colours import INK, PAPER, ink_on
from sgg.drawing.layout import GraphLayout, Mark

HALO = 1.7
"""Width of a line's halo, in widths of the line."""
DASH = (4.0, 2.5)
"""A dash and a gap of a dashed line, in widths of the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; around it a wider one of another colour, so that it shows on any image."""

    points: tuple[Point, ...]
    colour: str
    width: float
    halo: str | None = None
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    points: tuple[Point, ...]
    colour: str
    edge: str | None = None
    edge_width: float = 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text in the middle of a rectangle."""

    text: str
    rect: Rect
    font: float
    colour: str


Shape = Line | Area | Text


@dataclass(frozen=True, slots=True)
class Picture:
    """What is painted, and on how much ground."""

    width: float
    height: float
    shapes: tuple[Shape, ...]


def on_image(layout: GraphLayout) -> Picture:
    """The graph on its image, in the image's pixels: boxes, arrows, then labels."""
    return Picture(layout.width, layout.height, tuple(_on_image(layout)))


def _on_image(layout: GraphLayout) -> Iterator[Shape]:
    stroke = layout.stroke
    for box in sorted(layout.boxes, key=lambda b: (b.x1 - b.x2) * (b.y2 - b.y1)):
        x1, y1, x2, y2 = box.rect
        around = ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))
        yield Line(around, box.colour, stroke, ink_on(box.colour), box.mark == "miss")
    for arrow in layout.arrows:
        yield from arrow_shapes(arrow.path, arrow.colour, stroke, arrow.mark)
    labels = [(arrow.label, arrow.colour) for arrow in layout.arrows]
    for label, colour in [*((box.label, box.colour) for box in layout.boxes), *labels]:
        if label.leader:
            yield Line(label.leader, colour, stroke / 2, ink_on(colour))
    for label, colour in labels:
        yield from chip(label.text, label.rect, layout.font, PAPER, colour, stroke / 2)
    for box in layout.boxes:
        yield from chip(box.label.text, box.label.rect, layout.font, box.colour)
    if layout.note:
        yield from chip(layout.note.text, layout.note.rect, layout.font, INK)


def arrow_shapes(
    path: tuple[Point, ...], colour: str, stroke: float, mark: Mark
) -> Iterator[Shape]:
    """A line with a head at its end; dashed for a miss."""
    halo = ink_on(colour)
    (x1, y1), (x2, y2) = _before_the_head(path, 4 * stroke), path[-1]
    yield Line(path, colour, stroke, halo, mark == "miss")
    angle = math.atan2(y2 - y1, x2 - x1)
    sides = (angle - 0.42, angle + 0.42)
    wings = ((x2 - 5 * stroke * math.cos(t), y2 - 5 * stroke * math.sin(t)) for t in sides)
    yield Area(((x2, y2), *wings), colour, halo, stroke / 3)


def _before_the_head(path: tuple[Point, ...], length: float) -> Point:
    """A point of the line about so far from its end, which the head points away from."""
    for point in reversed(path[:-1]):
        if math.dist(point, path[-1]) >= length:
            return point
    return path[0]


def chip(
    text: str, rect: Rect, font: float, fill: str, edge: str | None = None, edge_width: float = 0.0
) -> Iterator[Shape]:
    """A text on a ground of its own, in black or white, whichever is more legible on it."""
    x1, y1, x2, y2 = rect
    yield Area(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), fill, edge, edge_width)
    yield Text(text, rect, font, ink_on(fill))
