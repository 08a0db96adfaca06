"""A picture as SVG: text that can be searched, lines that stay sharp; every name is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from sgg.drawing.arrows import Point
from sgg.drawing.beside import alone, with_graph_beside
from sgg.drawing.colours import PAPER
from sgg.drawing.layout import GraphLayout
from sgg.drawing.shapes import DASH, HALO, Area, Line, Shape, Text, on_image
from sgg.drawing.text_size import text_width

_FONTS = "Aileron, Helvetica, Arial, sans-serif"


def svg(layout: GraphLayout, image_uri: str | None, beside: bool = False) -> str:
    """An SVG document; its units are pixels of the image, its size is `layout.scale` times as many.

    Args:
        layout: the graph's.
        image_uri: where the image is found, such as a `data:` URI; None for the graph alone, without boxes.
        beside: whether the graph stands beside the image, too.

    """
    draw = alone if image_uri is None else with_graph_beside if beside else on_image
    picture = draw(layout)
    width, height = _number(picture.width), _number(picture.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{_number(picture.width * layout.scale)}" height="{_number(picture.height * layout.scale)}" '
        f'role="img" font-family="{_FONTS}" text-anchor="middle" stroke-linejoin="round">',
        f"<title>{len(layout.boxes)} objects, {len(layout.arrows)} relations</title>",
    ]
    if beside or image_uri is None:
        lines.append(f'<rect width="{width}" height="{height}" fill="{PAPER}"/>')
    if image_uri is not None:
        lines.append(
            f'<image href={quoteattr(image_uri)} width="{_number(layout.width)}" '
            f'height="{_number(layout.height)}" preserveAspectRatio="none"/>'
        )
    for shape in picture.shapes:
        lines += _elements(shape)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _elements(shape: Shape) -> Iterator[str]:
    match shape:
        case Line():
            dash = ""
            if shape.dashed:
                on, off = (_number(part * shape.width) for part in DASH)
                dash = f' stroke-dasharray="{on} {off}"'
            line = f'<polyline points="{_points(shape.points)}" fill="none"{dash}'
            if shape.halo:
                yield f'{line} stroke="{shape.halo}" stroke-width="{_number(shape.width * HALO)}"/>'
            yield f'{line} stroke="{shape.colour}" stroke-width="{_number(shape.width)}"/>'
        case Area():
            edge = ""
            if shape.edge:
                edge = f' stroke="{shape.edge}" stroke-width="{_number(shape.edge_width)}"'
            yield f'<polygon points="{_points(shape.points)}" fill="{shape.colour}"{edge}/>'
        case Text():
            x1, y1, x2, y2 = shape.rect
            yield (
                f'<text x="{_number((x1 + x2) / 2)}" y="{_number((y1 + y2) / 2 + 0.35 * shape.font)}" '
                f'font-size="{_number(shape.font)}" lengthAdjust="spacingAndGlyphs" '
                f'textLength="{_number(text_width(shape.text, shape.font))}" '
                f'fill="{shape.colour}">{escape(shape.text)}</text>'
            )


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
