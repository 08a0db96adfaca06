"""A picture in a file: PNG, or SVG with the image in it."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from sgg.drawing.layout import GraphLayout
from sgg.drawing.raster import png
from sgg.drawing.svg import svg
from sgg.files import whole_file, write_whole

SUFFIXES = (".png", ".svg")
_EXACT_PIXELS = 512 * 512
"""Images of up to so many pixels are in an SVG without loss; larger ones as JPEG."""
_JPEG_SIDE = 65_500
"""Longest side that JPEG holds."""


def write_picture(
    path: Path, image: Image.Image | None, layout: GraphLayout, beside: bool = False
) -> None:
    """Write what the suffix of `path` says, `.png` or `.svg`; `image` and `beside` are as in `raster.png`."""
    if path.suffix.lower() == ".svg":
        uri = _data_uri(image) if image is not None else None
        write_whole(path, svg(layout, uri, beside))
        return
    with whole_file(path, "wb") as file:
        png(image, layout, beside).save(file, format="PNG")


def _data_uri(image: Image.Image) -> str:
    is_exact = image.width * image.height <= _EXACT_PIXELS or max(image.size) > _JPEG_SIDE
    kind, more = ("PNG", {}) if is_exact else ("JPEG", {"quality": 90})
    content = BytesIO()
    image.convert("RGB").save(content, format=kind, **more)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"
