"""Draws a graph onto its image: boxes with their names, and arrows for relations."""

from __future__ import annotations

import colorsys
import math

from PIL import Image, ImageDraw, ImageFont

from sgg.scene.graph import Box, SceneGraph, node_id

SMALLEST_SIDE = 448
"""Smaller images are enlarged to this, so that names can be read."""
LARGEST_SIDE = 4096
"""No image is enlarged past this: a strip of 20 × 4000 pixels would outgrow what JPEG can hold."""


MAX_DRAWN = 300
"""Objects, and relations between them, that are drawn: the first ones; more could not be told apart."""


def draw_graph(image: Image.Image, graph: SceneGraph) -> Image.Image:
    """A copy of the image with the graph on it; boxes are in pixels of `image`, and cut off at its edge.

    Past `MAX_DRAWN` objects or relations the others are left out, and a label says how many.
    """
    scale = max(1.0, min(SMALLEST_SIDE / min(image.size), LARGEST_SIDE / max(image.size)))
    size = (round(image.width * scale), round(image.height * scale))
    canvas = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(12, round(min(size) / 36)))
    boxes = [_scaled(node.box, scale, size) for node in graph.nodes[:MAX_DRAWN]]
    colours = [_colour(i) for i in range(len(boxes))]
    for box, colour in zip(boxes, colours, strict=True):
        pen.rectangle(box, outline=colour, width=3)
    edges = [e for e in graph.edges if max(e.subject, e.object) < len(boxes)][:MAX_DRAWN]
    for edge in edges:
        if edge.subject != edge.object:
            _arrow(pen, boxes[edge.subject], boxes[edge.object], colours[edge.subject])
    for index, (box, colour) in enumerate(zip(boxes, colours, strict=True)):
        _label(pen, node_id(graph, index), box, colour, font)
    for edge in edges:
        x, y = _middle(boxes[edge.subject], boxes[edge.object])
        _label(pen, edge.predicate, (x, y, x, y), colours[edge.subject], font)
    if left_out := len(graph.nodes) - len(boxes) + len(graph.edges) - len(edges):
        _label(pen, f"{left_out:,} more are not drawn", (0, 0, 0, 0), (0, 0, 0), font)
    return canvas


def _scaled(box: Box, scale: float, size: tuple[int, int]) -> Box:
    """The box on the canvas, cut off at its edge: Pillow's time grows with what lies outside."""
    x1, y1, x2, y2 = (
        min(max(v * scale, 0.0), side - 1.0) for v, side in zip(box, size * 2, strict=True)
    )
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _colour(index: int) -> tuple[int, int, int]:
    """Hues that stay apart however many there are (golden angle)."""
    r, g, b = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.85, 0.85)
    return round(r * 255), round(g * 255), round(b * 255)


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _middle(a: Box, b: Box) -> tuple[float, float]:
    (ax, ay), (bx, by) = _centre(a), _centre(b)
    return (ax + bx) / 2, (ay + by) / 2


def _arrow(pen: ImageDraw.ImageDraw, a: Box, b: Box, colour: tuple[int, int, int]) -> None:
    (ax, ay), (bx, by) = _centre(a), _centre(b)
    pen.line((ax, ay, bx, by), fill=colour, width=2)
    angle = math.atan2(by - ay, bx - ax)
    tips = [
        (bx - 12 * math.cos(angle + turn), by - 12 * math.sin(angle + turn)) for turn in (-0.4, 0.4)
    ]
    pen.polygon([(bx, by), *tips], fill=colour)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    box: Box,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    x, y = max(box[0], 0.0), max(box[1], 0.0)
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    pen.rectangle(pen.textbbox((x, y), shown, font=font), fill=colour)
    pen.text((x, y), shown, fill="white", font=font)
