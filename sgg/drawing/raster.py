"""A picture in pixels, by Pillow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from sgg.drawing.arrows import Point
from sgg.drawing.beside import alone, with_graph_beside
from sgg.drawing.colours import PAPER
from sgg.drawing.layout import GraphLayout
from sgg.drawing.shapes import DASH, HALO, Area, Line, Shape, Text, on_image

SMOOTHED_PIXELS = 4 << 20
"""Pictures of up to so many pixels are painted at twice their size and then halved, which smooths lines."""


def png(image: Image.Image | None, layout: GraphLayout, beside: bool = False) -> Image.Image:
    """A copy of the image, enlarged by `layout.scale`, with the graph on it; RGB.

    Args:
        image: None for the graph alone, without boxes.
        beside: whether the graph stands beside the image, too.

    """
    scale = layout.scale
    draw = alone if image is None else with_graph_beside if beside else on_image
    picture = draw(layout)
    canvas = Image.new("RGB", (round(picture.width * scale), round(picture.height * scale)), PAPER)
    if image is not None:
        size = round(image.width * scale), round(image.height * scale)
        ground = image.convert("RGB")
        canvas.paste(ground.resize(size, Image.Resampling.BICUBIC) if scale > 1 else ground)
    _paint_all(canvas, picture.shapes, scale)
    return canvas


def _paint_all(canvas: Image.Image, shapes: Iterable[Shape], scale: float) -> None:
    """Paint shapes onto an RGB image; their numbers are multiplied by `scale`."""
    finer = 2 if canvas.width * canvas.height <= SMOOTHED_PIXELS else 1
    size = canvas.width * finer, canvas.height * finer
    layer = Image.new("RGBA", size)
    pen = ImageDraw.Draw(layer)
    for shape in shapes:
        _paint(pen, shape, scale * finer)
    if finer > 1:
        layer = layer.resize(canvas.size, Image.Resampling.BOX)
    canvas.paste(layer, (0, 0), layer)


def _paint(pen: ImageDraw.ImageDraw, shape: Shape, scale: float) -> None:
    match shape:
        case Line():
            points = [(x * scale, y * scale) for x, y in shape.points]
            width = max(1.0, shape.width * scale)
            pieces = list(_dashes(points, width)) if shape.dashed else [points]
            for piece in pieces if shape.halo else ():
                pen.line(piece, fill=shape.halo, width=round(width * HALO), joint="curve")
            for piece in pieces:
                pen.line(piece, fill=shape.colour, width=round(width), joint="curve")
        case Area():
            points = [(x * scale, y * scale) for x, y in shape.points]
            pen.polygon(points, fill=shape.colour)
            if shape.edge:
                width = max(1, round(shape.edge_width * scale))
                pen.line([*points, points[0]], fill=shape.edge, width=width, joint="curve")
        case Text():
            _write(pen, shape, scale)


def _write(pen: ImageDraw.ImageDraw, text: Text, scale: float) -> None:
    """The text in its rectangle: wider text than was reckoned with is made smaller."""
    size = text.font * scale
    if size < 4:  # could not be read
        return
    x1, y1, x2, y2 = (v * scale for v in text.rect)
    font = _font(size)
    width = font.getlength(text.text)
    if width > x2 - x1:
        font = _font(max(1.0, size * (x2 - x1) / width))
    pen.text(((x1 + x2) / 2, (y1 + y2) / 2), text.text, fill=text.colour, font=font, anchor="mm")


@lru_cache(maxsize=16)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _dashes(points: list[Point], width: float) -> Iterator[list[Point]]:
    """The pieces of a dashed line."""
    on, left = True, DASH[0] * width
    piece = [points[0]]
    for start, end in pairwise(points):
        length, done = math.dist(start, end), 0.0
        while length - done > left:
            done += left
            t = done / length
            piece.append((start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t))
            if on:
                yield piece
            piece, on = [piece[-1]], not on
            left = DASH[not on] * width
        left -= length - done
        piece.append(end)
    if on and len(piece) > 1:
        yield piece
