"""One image file that a user names, such as that of `sgg predict`."""

from __future__ import annotations

import logging
from pathlib import Path

from PIL import Image

from sgg.data.clean import KINDS
from sgg.data.images import BrokenImage, open_upright
from sgg.errors import SggError

log = logging.getLogger("sgg")


def open_image_file(path: Path) -> Image.Image:
    """The image, RGB and upright; what is odd about it is logged.

    Raises:
        SggError: it is missing or broken.

    """
    odd: list[str] = []
    try:
        upright = open_upright(path, odd.append)
    except FileNotFoundError as error:
        raise SggError(f"{path}: no such image.") from error
    except BrokenImage as error:
        raise SggError(f"{path}: not an image that can be decoded ({error}).") from error
    for kind in odd:
        if kind != "turned":  # as every viewer turns it
            log.warning("%s: %s", path, KINDS[kind])
    return upright
