"""Which way up an image is stored: the orientation in its EXIF block or XMP packet, nothing else of them.

Input: what a file holds beside its pixels. Output: an orientation of 1 to 8 (EXIF 2.3, tag 0x0112) and
whether something about it is odd. Pillow would read the whole block, and write it again once the image is
turned; any tag of a wrong type ends that. Nothing here raises for any bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings an image upright, by its orientation; 1 is upright."""
SWAPPING = [TRANSPOSE[value] for value in (5, 6, 7, 8)]
"""Those that swap width and height."""


class Orientation(NamedTuple):
    """How an image is stored."""

    value: int = 1
    """1 to 8; 1 where nothing usable is said."""
    odd: bool = False
    """The block cannot be read to the end of its first directory, or says another value."""


def orientation_of(info: Mapping[Any, Any]) -> Orientation:
    """The orientation in what Pillow found beside the pixels (`Image.info`), EXIF before XMP."""
    block = _exif_block(info)
    found = _first_directory(block) if block else Orientation(0)
    if found.value:
        return found
    return Orientation(_of_xmp(info) or 1, found.odd)


def orientation_of_tiff(tags: Mapping[int, Any]) -> Orientation | None:
    """The orientation among TIFF's own tags; None where it is not among them."""
    if _TAG not in tags:
        return None
    value = tags[_TAG]
    return Orientation(int(value)) if value in range(1, 9) else Orientation(1, odd=True)


def _exif_block(info: Mapping[Any, Any]) -> bytes:
    """The EXIF block without its marks; text chunks of PNG hold it as hexadecimal digits."""
    block = info.get("exif") or b""
    if not block and "Raw profile type exif" in info:
        digits = "".join(str(info["Raw profile type exif"]).split("\n")[3:])
        block = bytes.fromhex(digits) if _HEXADECIMAL.fullmatch(digits) else b"\0"
    return re.sub(rb"^(Exif\0\0){1,2}", b"", block) if isinstance(block, bytes) else b"\0"


_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2})*")


def _first_directory(block: bytes) -> Orientation:
    """The orientation of a TIFF structure's first directory; value 0 where it has none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return Orientation(0, odd=True)
    magic, start = struct.unpack(order + "HL", block[2:8])
    if magic != _TIFF or start + 2 > len(block):
        return Orientation(0, odd=True)
    (count,) = struct.unpack_from(order + "H", block, start)
    whole = min(count, (len(block) - start - 2) // _ENTRY)
    for i in range(whole):
        at = start + 2 + _ENTRY * i
        if struct.unpack_from(order + "H", block, at) == (_TAG,):
            value = _number(block, at, order)
            return Orientation(value, odd=False) if 1 <= value <= 8 else Orientation(1, odd=True)
    return Orientation(0, odd=whole < count)


_TIFF, _ENTRY, _TAG = 42, 12, 0x0112
_FORMATS = {1: "B", 3: "H", 4: "L", 5: "2L", 6: "b", 8: "h", 9: "l", 10: "2l", 11: "f", 12: "d"}
"""`struct` formats of TIFF's numeric types; fractions are two numbers."""


def _number(block: bytes, at: int, order: str) -> int:
    """The first value of an entry if it is a whole number of whatever numeric type, else 0."""
    kind, count, place = struct.unpack_from(order + "HLL", block, at + 2)
    form = order + _FORMATS.get(kind, "0s")
    size = struct.calcsize(form)
    if not size or not count:
        return 0
    where = at + 8 if size * count <= 4 else place
    if where + size > len(block):
        return 0
    value, divisor = (*struct.unpack_from(form, block, where), 1)[:2]
    if not divisor or not -9 < value / divisor < 9:  # NaN, too
        return 0
    return int(value / divisor) if value % divisor == 0 else 0


_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])\s*["'<]""")


def _of_xmp(info: Mapping[Any, Any]) -> int:
    """The orientation in an XMP packet, 0 where none is said."""
    for key in ("XML:com.adobe.xmp", "xmp"):
        packet = info.get(key)
        if isinstance(packet, str):
            packet = packet.encode("utf-8", "replace")
        found = _XMP.search(packet) if isinstance(packet, bytes) else None
        if found:
            return int(found[1])
    return 0
