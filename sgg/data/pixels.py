"""Decoded pixels of any kind as 8-bit RGB, at the brightness they were meant to have.

Transparency lies over white, as Qwen's own utilities put it. Grey of more than 8 bits is scaled to 8 and not
cut off at 255: whole numbers of 16 bits by the range of their type (12 where the file says 12); in wider
pixels and in fractions nothing says what white is, so the range that the image fits into decides: 0 to 1
(fractions only), 0 to 255, 0 to 65535, or else from its darkest to its brightest pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def is_wide_grey(image: Image.Image) -> bool:
    """Whether pixels are grey of more than 8 bits; the header says it."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


_STRIP = 4_000_000
"""Pixels that are converted at a time: what a conversion needs beside the image stays small."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The same image, 8-bit RGB."""
    rows = max(1, _STRIP // image.width)
    strips = [
        (0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)
    ]
    levels = _levels(image, strips) if is_wide_grey(image) else None
    if len(strips) == 1:
        return _converted(image, levels)
    whole = Image.new("RGB", image.size)
    for strip in strips:
        whole.paste(_converted(image.crop(strip), levels), strip)
    return whole


def _converted(image: Image.Image, levels: _Levels | None) -> Image.Image:
    if levels is not None:
        image = _grey(image, levels)
    elif image.mode == "La":  # multiplied by its transparency; Pillow converts it to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return image.convert("RGB")


_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""TIFF's tags; white is zero where the second is 0, pixels have no sign where the third is 1."""


@dataclass(frozen=True)
class _Levels:
    """How wide grey becomes 8 bits."""

    black: float
    white: float
    is_inverted: bool
    is_unsigned: bool
    """Whether the bits of 32-bit whole numbers have no sign."""


def _levels(image: Image.Image, strips: Sequence[tuple[int, int, int, int]]) -> _Levels:
    """Of a whole image, which is read strip by strip."""
    tags: Any = getattr(image, "tag_v2", {})
    is_unsigned = image.mode == "I" and tags.get(_SAMPLE_FORMAT) == (1,)
    if image.mode.startswith("I;"):
        low, high = 0.0, 4095.0 if tags.get(_BITS) == (12,) else 65535.0
    else:
        low, high = _range(
            [_reach(_pixels(image.crop(s), is_unsigned)) for s in strips], image.mode
        )
    return _Levels(low, high, tags.get(_PHOTOMETRIC) == 0, is_unsigned)


def _pixels(image: Image.Image, is_unsigned: bool) -> NDArray[Any]:
    pixels = np.asarray(image)
    return pixels.view(np.uint32) if is_unsigned else pixels


def _grey(image: Image.Image, levels: _Levels) -> Image.Image:
    pixels = _pixels(image, levels.is_unsigned).astype(np.float64)
    level = np.clip((pixels - levels.black) / (levels.white - levels.black), 0, 1)
    level = np.nan_to_num(level)  # NaN is black
    if levels.is_inverted:
        level = 1 - level
    return Image.fromarray(np.round(level * 255).astype(np.uint8))


def _reach(pixels: NDArray[Any]) -> tuple[float, float] | None:
    """The darkest and brightest finite pixel; None if there is none."""
    finite = pixels[np.isfinite(pixels)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _range(reaches: Sequence[tuple[float, float] | None], mode: str) -> tuple[float, float]:
    """What is black and what is white, by what the pixels reach."""
    found = [reach for reach in reaches if reach is not None] or [(0.0, 0.0)]
    low, high = min(a for a, _ in found), max(b for _, b in found)
    limits = (255.0, 65535.0) if mode == "I" else (1.0, 255.0, 65535.0)
    if low >= 0:
        for limit in limits:
            if high <= limit:
                return 0.0, limit
    return low, max(high, np.nextafter(low, np.inf))
