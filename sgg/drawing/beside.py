"""The graph beside its image, or alone: all relations can be read, however the boxes crowd.

A subject stands above its relations, each an arrow with its word to the object's name; names have the
colours of the boxes. Objects without relations come last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from sgg.drawing.arrows import Rect
from sgg.drawing.colours import INK, PAPER
from sgg.drawing.layout import DrawnArrow, DrawnBox, GraphLayout
from sgg.drawing.shapes import Line, Picture, Shape, Text, arrow_shapes, chip, on_image
from sgg.drawing.text_size import LINE, label_size

_ROW = 1.9
"""Height of a row; this and the following in font sizes."""
_MARGIN, _INDENT, _ARROW = 1.0, 1.0, 2.6
_SMALLEST_FONT = 12.0
"""Pixels of the drawn picture."""
_FLATTEST = 2.0
"""Width to height of images from which the graph stands below."""

Row = tuple[DrawnBox, DrawnArrow | None]
"""An object's name, or one of its relations as a subject."""


def with_graph_beside(layout: GraphLayout) -> Picture:
    """The image with its graph on it, and the graph at its right, or below where the image is wide."""
    image = on_image(layout)
    is_wide = layout.width > _FLATTEST * layout.height
    rows = 0 if is_wide else int((layout.height / _font(layout) - 2 * _MARGIN) / _ROW)
    graph = _columns(layout, rows)
    if not graph.shapes:
        return image
    dx, dy = (0.0, layout.height) if is_wide else (layout.width, 0.0)
    ends = dx + graph.width, dy + graph.height
    moved = tuple(_moved(shape, dx, dy) for shape in graph.shapes)
    return Picture(max(image.width, ends[0]), max(image.height, ends[1]), image.shapes + moved)


def alone(layout: GraphLayout) -> Picture:
    """The graph without its image, on paper."""
    return _columns(layout, 0)


def _columns(layout: GraphLayout, least_rows: int) -> Picture:
    """The rows in columns of `least_rows` or more, as many as keep the whole from being a strip."""
    font = _font(layout)
    blocks = [*_blocks(layout)]
    count = sum(map(len, blocks))
    columns = _broken(blocks, max(least_rows, 6, math.ceil(math.sqrt(5 * count))))
    x = _MARGIN * font
    shapes: list[Shape] = []
    for column in columns:
        painted, width = _column(layout, column, x)
        shapes += painted
        x += width + 2 * _MARGIN * font
    height = (max(map(len, columns), default=0) * _ROW + 2 * _MARGIN) * font
    if layout.note:
        text = layout.note.full
        w, h = label_size(text, font)
        shapes += chip(text, (_MARGIN * font, height, _MARGIN * font + w, height + h), font, INK)
        x, height = max(x, w + 2 * _MARGIN * font), height + h + _MARGIN * font
    return Picture(max(x - _MARGIN * font, font), height, tuple(shapes))


def _blocks(layout: GraphLayout) -> Iterator[list[Row]]:
    """Each subject with its relations, then the objects that have none at all."""
    of: dict[int, list[DrawnArrow]] = {}
    for arrow in layout.arrows:
        of.setdefault(arrow.subject, []).append(arrow)
    for subject, arrows in sorted(of.items()):
        box = layout.boxes[subject]
        yield [(box, None), *((box, arrow) for arrow in arrows)]
    related = {*of, *(arrow.object for arrow in layout.arrows)}
    for box in layout.boxes:
        if box.index not in related:
            yield [(box, None)]


def _broken(blocks: list[list[Row]], rows: int) -> list[list[Row]]:
    """The rows of each column; a subject that goes on in another column is named again there."""
    columns: list[list[Row]] = []
    for block in blocks:
        for box, arrow in block:
            begins = not columns or len(columns[-1]) + (arrow is None and len(block) > 1) >= rows
            if begins:
                columns.append([(box, None)] if arrow else [])
            columns[-1].append((box, arrow))
    return columns


def _column(layout: GraphLayout, rows: list[Row], x: float) -> tuple[list[Shape], float]:
    """What is painted of one column that begins at `x`, and its width."""
    font = _font(layout)
    shapes: list[Shape] = []
    trunk = x + _INDENT * font
    word = trunk + 0.9 * font
    words = [label_size(arrow.label.full, font)[0] for _, arrow in rows if arrow]
    target = word + max(words, default=0.0) + _ARROW * font
    right = x
    above = 0.0  # where the trunk goes on from
    for place, (box, arrow) in enumerate(rows):
        middle = (_MARGIN + _ROW * (place + 0.5)) * font
        named = box if arrow is None else layout.boxes[arrow.object]
        at = _name_rect(named, x if arrow is None else target, middle, font)
        if arrow is None:
            above = at[3]
        else:
            shapes.append(Line(((trunk, above), (trunk, middle)), box.colour, layout.stroke))
            above = middle
            branch = ((trunk, middle), (target, middle))
            shapes += arrow_shapes(branch, arrow.colour, layout.stroke, arrow.mark)
            width, height = label_size(arrow.label.full, font)
            ground = (word, middle - height / 2, word + width, middle + height / 2)
            shapes += chip(arrow.label.full, ground, font, PAPER)
        shapes += chip(named.label.full, at, font, named.colour)
        right = max(right, at[2])
    return shapes, right - x


def _font(layout: GraphLayout) -> float:
    """The font size: that on the image, unless a strip leaves no room for one that can be read."""
    return max(layout.font, _SMALLEST_FONT / layout.scale)


def _name_rect(box: DrawnBox, x: float, middle: float, font: float) -> Rect:
    width = label_size(box.label.full, font)[0]
    return x, middle - LINE * font / 2, x + width, middle + LINE * font / 2


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    if isinstance(shape, Text):
        x1, y1, x2, y2 = shape.rect
        return replace(shape, rect=(x1 + dx, y1 + dy, x2 + dx, y2 + dy))
    points = tuple((x + dx, y + dy) for x, y in shape.points)
    return replace(shape, points=points)
