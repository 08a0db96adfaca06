"""Pictures by reference: files, rows of a published data set, painted gold, drawn scenes.

A prepared table holds references, not pixels, so that preparing copies no pictures and a cache stays
small. Every picture comes out as RGB, turned upright by its EXIF tag.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from sgg.data import shapes
from sgg.data.paint import paint
from sgg.errors import SggError
from sgg.graph import SceneGraph

Image.MAX_IMAGE_PIXELS = 200_000_000  # a decompression bomb is an error, a gigapixel scan too


class ImageStore:
    """Fetches pictures; opens a published table only when a row of it is asked for."""

    def __init__(
        self,
        open_rows: Callable[[], Any] | None = None,
        plan: shapes.ScenePlan | None = None,
        painted: bool = False,
    ) -> None:
        self._open_rows = open_rows
        self._rows: Any = None
        self._plan = plan
        self._painted = painted

    def load(self, ref: str, graph: SceneGraph, width: int, height: int) -> Image.Image:
        """The picture behind a reference, RGB, `width` × `height`.

        Raises:
            SggError: it is missing or cannot be decoded; the message names it and the way out.

        """
        if self._plan is not None:
            return shapes.draw(self._plan, graph)
        if self._painted:
            return paint(graph, width, height)
        kind, _, place = ref.partition(":")
        try:
            image = self._row_image(int(place)) if kind == "row" else open_upright(Path(place))
            return image.convert("RGB")
        except FileNotFoundError as error:
            raise SggError(
                f"picture {place} is missing. Check data.images and data.root."
            ) from error
        except DECODE_ERRORS as error:
            raise SggError(
                f"picture {place} cannot be decoded ({error}). Remove it or its row; "
                "`sgg prepare data.check_images=decode …` finds all such pictures."
            ) from error

    def _row_image(self, index: int) -> Image.Image:
        if self._rows is None:
            assert self._open_rows is not None, "a row reference needs its table"
            self._rows = self._open_rows()
        image: Image.Image = self._rows[index]["image"]
        return image


def open_upright(path: Path) -> Image.Image:
    """The decoded picture of a file, turned as its EXIF tag says."""
    with Image.open(path) as image:
        image.load()
        return ImageOps.exif_transpose(image)


DECODE_ERRORS = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
)
"""What PIL raises for broken pictures."""
