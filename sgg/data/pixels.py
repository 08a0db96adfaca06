"""Decoded pixels of any kind as 8-bit RGB, at the brightness they were meant to have.

Transparency lies over white, as Qwen's own utilities put it. Grey of more than 8 bits is scaled to 8 and not
cut off at 255: whole numbers of 16 bits by the range of their type (12 where the file says 12); in wider
pixels and in fractions nothing says what white is, so the range that the image fits into decides: 0 to 1
(fractions only), 0 to 255, 0 to 65535, or else from its darkest to its brightest pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def is_wide_grey(image: Image.Image) -> bool:
    """Whether pixels are grey of more than 8 bits; the header says it."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def to_rgb(image: Image.Image) -> Image.Image:
    """The same image, 8-bit RGB."""
    if is_wide_grey(image):
        image = _grey(image)
    elif image.mode == "La":  # multiplied by its transparency; Pillow converts it to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha)
    return image.convert("RGB")


_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""TIFF's tags; white is zero where the second is 0, pixels have no sign where the third is 1."""


def _grey(image: Image.Image) -> Image.Image:
    tags: Any = getattr(image, "tag_v2", {})
    pixels = np.asarray(image)
    if image.mode == "I" and tags.get(_SAMPLE_FORMAT) == (1,):
        pixels = pixels.view(np.uint32)
    if image.mode.startswith("I;"):
        low, high = 0.0, 4095.0 if tags.get(_BITS) == (12,) else 65535.0
    else:
        low, high = _range(pixels)
    level = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1)
    level = np.nan_to_num(level)  # NaN is black
    if tags.get(_PHOTOMETRIC) == 0:
        level = 1 - level
    return Image.fromarray(np.round(level * 255).astype(np.uint8))


def _range(pixels: NDArray[Any]) -> tuple[float, float]:
    """What is black and what is white, by what the pixels reach."""
    finite = pixels[np.isfinite(pixels)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    limits = (255.0, 65535.0) if pixels.dtype.kind in "iu" else (1.0, 255.0, 65535.0)
    if low >= 0:
        for limit in limits:
            if high <= limit:
                return 0.0, limit
    return low, max(high, np.nextafter(low, np.inf))
