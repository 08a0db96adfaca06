"""The geometry of a graph's picture: which box, arrow and label stands where. Nothing is painted here.

Output: numbers in pixels of the image, that `json` can write. `sgg.drawing.raster` paints them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sgg.drawing import colours
from sgg.drawing.arrows import Point, Rect, courses
from sgg.drawing.placement import Canvas, Wish, along_arrows, around_box, leader
from sgg.drawing.text_size import LINE, label_size, shown
from sgg.scene.graph import Box, SceneGraph, node_id

Mark = Literal["plain", "hit", "miss"]

SMALLEST_SIDE = 640
"""Smaller images are enlarged to this when drawn, so that labels have room."""
LARGEST_SIDE = 4096
"""No image is enlarged past this: a strip of 20 × 4000 pixels would outgrow what JPEG can hold."""
MAX_DRAWN = 300
"""Objects, and relations between them, that are drawn: the first ones; more could not be told apart."""
_FONT = 1 / 42
"""Font size as a share of the shorter side."""
_CROWDED = 0.25
"""Share of the canvas that labels may cover; past it the font is smaller."""
_SMALLEST_FONT = 10.0
"""Pixels of the drawn picture below which crowding makes no font."""


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text and its place."""

    full: str
    """At most 40 characters, without control characters."""
    text: str
    """The same, cut to the image's width."""
    rect: Rect
    """x1, y1, x2, y2."""
    leader: tuple[Point, Point] | None
    """From the label to what it names, where it stands far from that."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """An object's box, cut off at the image's edge: x2 ≥ x1, y2 ≥ y1."""

    index: int
    """Place in the graph's nodes."""
    x1: float
    y1: float
    x2: float
    y2: float
    label: Label
    colour: str
    """`#RRGGBB`."""
    mark: Mark

    @property
    def rect(self) -> Rect:
        """x1, y1, x2, y2."""
        return self.x1, self.y1, self.x2, self.y2


@dataclass(frozen=True, slots=True)
class DrawnArrow:
    """A relation: a line from the edge of the subject's box to the edge of the object's."""

    index: int
    """Place in the graph's edges."""
    subject: int
    object: int
    path: tuple[Point, ...]
    """Two points or more; the head is at the last."""
    label: Label
    colour: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """All that a picture shows, in pixels of the image."""

    width: float
    height: float
    font: float
    """Font size."""
    stroke: float
    """Width of lines."""
    scale: float
    """How many times larger the picture is drawn than the image: 1 or more."""
    boxes: tuple[DrawnBox, ...]
    arrows: tuple[DrawnArrow, ...]
    note: Label | None
    """Says how many objects and relations are not drawn."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Which objects and relations of a graph are hits; None where that is not said."""

    objects: Sequence[bool] | None = None
    relations: Sequence[bool] | None = None


def layout(
    graph: SceneGraph,
    size: tuple[int, int],
    marks: Marks | None = None,
    smallest_side: float = SMALLEST_SIDE,
) -> GraphLayout:
    """Where everything stands on an image of `size` (width, height); boxes are in its pixels.

    Equal arguments give equal layouts. Past `MAX_DRAWN` objects or relations the others are left
    out, and a note says how many.

    Args:
        smallest_side: to which a smaller image is enlarged, pixels; labels have at least 10 of these.

    """
    scale = max(1.0, min(smallest_side / min(size), LARGEST_SIDE / max(size)))
    canvas = size[0] * scale, size[1] * scale
    boxes = [_on_canvas(node.box, scale, canvas) for node in graph.nodes[:MAX_DRAWN]]
    edges = [
        (index, edge)
        for index, edge in enumerate(graph.edges)
        if max(edge.subject, edge.object) < len(boxes)
    ][:MAX_DRAWN]
    names = [node_id(graph, index) for index in range(len(boxes))]
    names += [edge.predicate for _, edge in edges]
    font = _font(names, canvas)
    paths = courses(boxes, [(edge.subject, edge.object) for _, edge in edges], canvas, font)
    board = Canvas(canvas, font, boxes, paths)

    left_out = len(graph.nodes) - len(boxes) + len(graph.edges) - len(edges)
    note = None
    if left_out:
        full = f"{left_out:,} more are not drawn"
        text = shown(full, font, canvas[0])
        corner = Wish(label_size(text, font), ((0.0, 0.0),), (0.0,), (0.0,) * 4)
        note = Label(full, text, _scaled(board.take(corner), scale), None)
    labels = _labels(names, boxes, paths, board, font, scale)
    return GraphLayout(
        width=float(size[0]),
        height=float(size[1]),
        font=font / scale,
        stroke=max(2.0, font / 6) / scale,
        scale=scale,
        boxes=tuple(
            DrawnBox(
                i,
                *_scaled(box, scale),
                label,
                *(_marked(marks.objects, i) if marks else _coloured(i)),
            )
            for i, (box, label) in enumerate(zip(boxes, labels, strict=False))
        ),
        arrows=tuple(
            DrawnArrow(
                index,
                edge.subject,
                edge.object,
                tuple(_point(point, scale) for point in path),
                label,
                *(_marked(marks.relations, index) if marks else _coloured(edge.subject)),
            )
            for (index, edge), path, label in zip(edges, paths, labels[len(boxes) :], strict=True)
        ),
        note=note,
    )


def _labels(
    names: Sequence[str],
    boxes: Sequence[Rect],
    paths: Sequence[Sequence[Point]],
    board: Canvas,
    font: float,
    scale: float,
) -> list[Label]:
    """The labels of all boxes, then of all arrows; the ones with the least room choose first."""
    whole = [shown(name, font) for name in names]
    lines = [shown(line, font, board.width) for line in whole]
    sizes = [label_size(line, font) for line in lines]
    wishes = [around_box(box, size) for box, size in zip(boxes, sizes, strict=False)]
    wishes += along_arrows(paths, sizes[len(boxes) :], font)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]
    room = [*((0, area) for area in areas), *((1, math.dist(p[0], p[-1])) for p in paths)]
    places = {i: board.take(wishes[i]) for i in sorted(range(len(names)), key=room.__getitem__)}
    labels = []
    for i, (full, line, wish) in enumerate(zip(whole, lines, wishes, strict=True)):
        led = leader(places[i], wish.named, font)
        back = (_point(led[0], scale), _point(led[1], scale)) if led else None
        labels.append(Label(full, line, _scaled(places[i], scale), back))
    return labels


def _font(names: Sequence[str], canvas: tuple[float, float]) -> float:
    """The font size in pixels of the canvas: smaller where labels would crowd it."""
    font = max(12.0, min(canvas) * _FONT)
    sizes = [label_size(shown(name, font, canvas[0]), font) for name in names]
    covered = sum(w * h for w, h in sizes) / (canvas[0] * canvas[1])
    if covered > _CROWDED:
        font = max(_SMALLEST_FONT, 0.6 * font, font * math.sqrt(_CROWDED / covered))
    return min(font, min(canvas) / LINE)


def _on_canvas(box: Box, scale: float, canvas: tuple[float, float]) -> Rect:
    """The box on the canvas, cut off at its edge; what is no number counts as 0."""
    x1, y1, x2, y2 = (
        min(max(0.0 if math.isnan(v) else v * scale, 0.0), max(0.0, side - 1))
        for v, side in zip(box, canvas * 2, strict=True)
    )
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _coloured(index: int) -> tuple[str, Mark]:
    """(colour, mark) in a picture of one graph: each object has its colour."""
    return colours.of_object(index), "plain"


def _marked(hits: Sequence[bool] | None, index: int) -> tuple[str, Mark]:
    """(colour, mark) in a picture that shows hits and misses."""
    mark: Mark = "plain" if hits is None else "hit" if hits[index] else "miss"
    return colours.OF_MARK[mark], mark


def _scaled(rect: Rect, scale: float) -> Rect:
    x1, y1, x2, y2 = (round(v / scale, 2) for v in rect)
    return x1, y1, x2, y2


def _point(point: Point, scale: float) -> Point:
    return round(point[0] / scale, 2), round(point[1] / scale, 2)
