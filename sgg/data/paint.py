"""Images for gold that comes without: each box is painted with a pattern that its class decides.

An image is a pure function of the graph and the size, so the whole path (decode, resize, train,
evaluate) runs on real annotations where the photographs cannot be had.
"""

from __future__ import annotations

import colorsys
import hashlib

from PIL import Image, ImageDraw

from sgg.scene.graph import Node, SceneGraph
from sgg.scene.vocab import canonical

_GREY = (200, 200, 200)


def paint(graph: SceneGraph, width: int, height: int) -> Image.Image:
    """An RGB image of `width` × `height`: large boxes first, stripes in the class's two colours."""
    image = Image.new("RGB", (width, height), _GREY)
    for node in sorted(graph.nodes, key=_area, reverse=True):
        _paint_node(image, node)
    return image


def _paint_node(image: Image.Image, node: Node) -> None:
    x1, y1, x2, y2 = (round(v) for v in node.box)
    digest = hashlib.sha256(canonical(node.name).encode()).digest()
    light, dark = _colour(digest[0], 0.95), _colour(digest[0] + digest[1] // 2 + 40, 0.55)
    w, h = max(x2 - x1, 1), max(y2 - y1, 1)
    tile = Image.new("RGB", (w, h), light)
    pen = ImageDraw.Draw(tile)
    step = 6 + digest[2] % 10
    if digest[3] % 3 == 0:
        for x in range(0, w, step):
            pen.rectangle((x, 0, x + step // 3, h), fill=dark)
    elif digest[3] % 3 == 1:
        for y in range(0, h, step):
            pen.rectangle((0, y, w, y + step // 3), fill=dark)
    else:
        for d in range(-h, w, step):
            pen.line((d, h, d + h, 0), fill=dark, width=max(step // 4, 1))
    pen.rectangle((0, 0, w - 1, h - 1), outline=dark)
    image.paste(tile, (x1, y1))


def _colour(hue: int, value: float) -> tuple[int, int, int]:
    r, g, b = colorsys.hsv_to_rgb((hue % 256) / 256, 0.75, value)
    return round(r * 255), round(g * 255), round(b * 255)


def _area(node: Node) -> float:
    return (node.box[2] - node.box[0]) * (node.box[3] - node.box[1])
