"""An image file without what stands beside its pixels, for files whose notes keep Pillow from the pixels.

Input: a whole file. Output: the file with nothing but what decoding needs, and the EXIF block and XMP
packet that were taken out, so that the image can still be brought upright. Formats: JPEG (ITU T.81), PNG
(W3C), WebP (RFC 9649), TIFF 6.0 and AVIF (ISO 23000-22). Nothing here raises for any bytes, and no pixel is
touched: a file whose blocks have wrong lengths stays broken, for where its pixels begin is then a guess.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO

Notes = dict[str, bytes]
"""`exif` and `xmp`, as `Image.info` would hold them, where the file has them."""


def bare(data: bytes) -> tuple[bytes, Notes]:
    """The file's pixels alone, and its notes; the file as it is where it is of no format named above."""
    for mark, strip in _STRIP.items():
        if re.match(mark, data, re.DOTALL):
            return strip(data)
    return data, {}


def _jpeg(data: bytes) -> tuple[bytes, Notes]:
    """Without application segments and comments, but for Adobe's, which holds the colour space."""
    kept, notes, place = [data[:2]], Notes(), 2
    while place + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if not 0xFFC0 <= marker <= 0xFFFE or marker == 0xFFDA or length < 2:
            break
        segment = data[place : place + 2 + length]
        place += len(segment)
        if marker == 0xFFE1 and segment[4:10] == b"Exif\0\0":
            notes["exif"] = notes.get("exif", b"Exif\0\0") + segment[10:]
        elif marker == 0xFFE1:
            notes.setdefault("xmp", segment[4:])
        if marker == 0xFFEE or not (0xFFE0 <= marker <= 0xFFEF or marker == 0xFFFE):
            kept.append(segment)
    return b"".join([*kept, data[place:]]), notes


def _png(data: bytes) -> tuple[bytes, Notes]:
    """Without text, EXIF, colour profile, time and the like; animations keep what makes them move."""
    kept, notes = [data[:8]], Notes()
    for kind, start, end in png_chunks(BytesIO(data)):
        if kind == b"eXIf":
            notes["exif"] = data[start + 8 : end - 4]
        elif kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0", start + 8):
            notes["xmp"] = data[start + 8 : end - 4]
        if kind[:1].isupper() or kind in (b"tRNS", b"acTL", b"fcTL", b"fdAT"):
            kept.append(data[start:end])  # with its checksum: broken pixels stay broken
    return b"".join(kept), notes


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte, byte after the last) of each chunk; what is in them is not read."""
    place = 8
    while len(head := _read_at(file, place, 8)) == 8:
        length, kind = struct.unpack(">L4s", head)
        if not kind.isalpha():
            break
        yield kind, place, place + 12 + length
        place += 12 + length


def _read_at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _webp(data: bytes) -> tuple[bytes, Notes]:
    """Without EXIF, XMP and colour profile."""
    kept, notes, place = [], Notes(), 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sL", data, place)
        chunk = data[place : place + 8 + length + length % 2]
        place += len(chunk)
        if kind == b"VP8X":  # its flags name what is in the file
            chunk = chunk[:8] + bytes([chunk[8] & ~0x2C]) + chunk[9:] if len(chunk) > 8 else chunk
        if kind in _WEBP_NOTES:
            notes[_WEBP_NOTES[kind]] = chunk[8 : 8 + length]
        elif kind != b"ICCP":
            kept.append(chunk)
    content = b"".join(kept)
    return b"RIFF" + struct.pack("<L", 4 + len(content)) + b"WEBP" + content, notes


_WEBP_NOTES = {b"EXIF": "exif", b"XMP ": "xmp"}


def _tiff(data: bytes) -> tuple[bytes, Notes]:
    """With a type that nobody reads at every tag of the first directory that only describes.

    The orientation stays where it is: whoever decodes TIFF turns it, too.
    """
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8:
        return data, {}
    (start,) = struct.unpack_from(order + "L", data, 4)
    if start + 2 > len(data):
        return data, {}
    (count,) = struct.unpack_from(order + "H", data, start)
    mended = bytearray(data)
    for place in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        (tag,) = struct.unpack_from(order + "H", data, place)
        if tag in _DESCRIBING:
            struct.pack_into(order + "H", mended, place + 2, 0)
    return bytes(mended), {}


_DESCRIBING = {
    *(269, 270, 271, 272, 285, 305, 306, 315, 316, 33432),  # texts
    *(282, 283, 286, 287, 296, 297),  # resolution and place on a page
    *(700, 33723, 34377, 34665, 34675, 34853, 40965),  # XMP, IPTC, Photoshop, EXIF, ICC, GPS
}
"""Tags of TIFF 6.0 and EXIF that change no pixel."""


def _avif(data: bytes) -> tuple[bytes, Notes]:
    """With EXIF and XMP as items of a kind that nobody reads; a turn of its own stays."""
    return re.sub(rb"(infe.{8})(?:Exif|mime)", rb"\1skip", data, flags=re.DOTALL), {}


_STRIP: dict[bytes, Callable[[bytes], tuple[bytes, Notes]]] = {
    rb"\xff\xd8": _jpeg,
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"RIFF.{4}WEBP": _webp,
    rb"II\*\0|MM\0\*": _tiff,
    rb".{4}ftyp": _avif,
}
"""By how a file of the format begins."""
