"""Pictures by reference: files, rows of a published data set, painted gold, drawn scenes.

A prepared table holds references, not pixels, so that preparing copies no pictures and a cache stays
small. Every picture comes out as RGB, turned upright by its EXIF tag.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sgg.data import shapes
from sgg.data.paint import paint
from sgg.errors import SggError
from sgg.graph import SceneGraph
from sgg.options import ScenePlan

Image.MAX_IMAGE_PIXELS = 200_000_000  # a decompression bomb is an error, a gigapixel scan too


class ImageStore:
    """Fetches pictures; opens a published table only when a row of it is asked for."""

    def __init__(
        self,
        open_rows: Callable[[], Any] | None = None,
        plan: ScenePlan | None = None,
        painted: bool = False,
    ) -> None:
        self._open_rows = open_rows
        self._rows: Any = None
        self._plan = plan
        self._painted = painted

    def load(self, ref: str, graph: SceneGraph, width: int, height: int) -> Image.Image:
        """The picture behind a reference, RGB, `width` × `height`.

        Raises:
            SggError: it is missing, cannot be decoded or has another size (it was changed after it
                was checked, or only its header was); the message names it and the way out.

        """
        if self._plan is not None:
            return shapes.draw(self._plan, graph)
        if self._painted:
            return paint(graph, width, height)
        kind, _, place = ref.partition(":")
        name = f"of row {place}" if kind == "row" else place
        try:
            image = open_upright(self._row_image(int(place)) if kind == "row" else Path(place))
        except FileNotFoundError as error:
            raise SggError(
                f"picture {name} is missing. Check data.images and data.root."
            ) from error
        except DECODE_ERRORS as error:
            raise SggError(
                f"picture {name} cannot be decoded ({error}). Remove it or its row; "
                "`sgg prepare data.check_images=decode …` finds all such pictures."
            ) from error
        if image.size != (width, height):
            raise SggError(
                f"picture {name} is {image.width} × {image.height}, but was prepared as "
                f"{width} × {height}. Put the old one back, or correct the annotation's size; "
                "data.check_images=decode drops such pictures."
            )
        return image

    def _row_image(self, index: int) -> Path | BytesIO:
        if self._rows is None:
            assert self._open_rows is not None, "a row reference needs its table"
            self._rows = self._open_rows()
        source = row_picture(self._rows[index]["image"])
        assert source is not None, "rows without a picture are dropped when data is prepared"
        return source


def row_picture(value: Mapping[str, Any] | None) -> Path | BytesIO | None:
    """What PIL can open of an undecoded `datasets.Image` value; None where there is no picture."""
    if value is None:
        return None
    if value["bytes"] is not None:
        return BytesIO(value["bytes"])
    return Path(value["path"]) if value["path"] else None


def open_upright(source: Path | BytesIO) -> Image.Image:
    """The decoded picture of a file, RGB, turned as its EXIF tag says."""
    with Image.open(source) as image:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))


def look(source: Path | BytesIO | None, decode: bool) -> tuple[tuple[int, int], str]:
    """The size of a picture once upright and "", or (0, 0) and what is wrong by `check.KINDS`.

    Without `decode` only the header is read.
    """
    if source is None:
        return (0, 0), "no_image"
    try:
        if decode:
            return open_upright(source).size, ""
        with Image.open(source) as image:
            # PNG has its EXIF behind the pixels or, nearly always, not at all
            asks = image.format != "PNG" or "exif" in image.info
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if asks else 1
            width, height = image.size
            return ((height, width) if orientation in _LYING else (width, height)), ""
    except FileNotFoundError:
        return (0, 0), "no_image"
    except DECODE_ERRORS:
        return (0, 0), "broken_image"


def look_at_file(ref: str, decode: bool) -> tuple[tuple[int, int], str]:
    """What `look` says about the file behind a reference."""
    place = ref.removeprefix("file:")
    return look(Path(place) if place else None, decode)


def file_size(ref: str) -> int | None:
    """Bytes of the file behind a reference; None where there is none."""
    path = Path(ref.removeprefix("file:"))
    return path.stat().st_size if ref.startswith("file:") and path.is_file() else None


_LYING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB: transparency over white, as Qwen's own utilities do; 16-bit grey scaled, not cut off."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return image.convert("RGB")


DECODE_ERRORS = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    struct.error,  # from damaged EXIF
)
"""What PIL raises for broken pictures."""
