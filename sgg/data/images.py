"""Images by reference: files, rows of a published data set, painted gold, drawn scenes.

A prepared table holds references, not pixels, so that preparing copies no images and a cache stays
small. Every image comes out as RGB, turned upright by its EXIF tag. Files are a stranger's: only regular
files are read, by the decoders of `FORMATS` and no other, up to `MAX_FILE` bytes and `clean.MAX_PIXELS`.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import AvifImagePlugin, Image, WebPImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from sgg.config.data import ScenePlan
from sgg.data import shapes
from sgg.data.bare import bare, png_chunks
from sgg.data.clean import MAX_PIXELS
from sgg.data.exif import SWAPPING, TRANSPOSE, orientation_of, orientation_of_tiff
from sgg.data.paint import paint
from sgg.data.pixels import is_wide_grey, to_rgb
from sgg.errors import SggError
from sgg.scene.graph import SceneGraph

FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "PPM"),
    *(
        cls.format
        for cls in (TiffImageFile, WebPImagePlugin.WebPImageFile, AvifImagePlugin.AvifImageFile)
    ),
)
"""Pillow's decoders that are used: of those left out, EPS starts Ghostscript, and nobody keeps photographs in
the others. MPO, several JPEG images in a file, is read by JPEG's."""
MAX_FILE = 256 << 20
"""Largest file, bytes."""
Image.MAX_IMAGE_PIXELS = (
    MAX_PIXELS // 2
)  # Pillow refuses what is twice as large, frames of animations too

Size = tuple[int, int]
"""Width and height, pixels."""
Note = Callable[[str], None]
"""Takes a kind of `clean.KINDS`."""


class BrokenImage(Exception):
    """A file is no image, or cannot be decoded; the message says why."""


class ImageStore:
    """Fetches images; opens a published table only when a row of it is asked for."""

    def __init__(
        self,
        key: str,
        open_rows: Callable[[], Any] | None = None,
        plan: ScenePlan | None = None,
        painted: bool = False,
    ) -> None:
        """`key` names the split in errors: data.train or data.eval."""
        self._key = key
        self._open_rows = open_rows
        self._rows: Any = None
        self._plan = plan
        self._painted = painted

    def load(self, ref: str, graph: SceneGraph, width: int, height: int) -> Image.Image:
        """The image behind a reference, RGB, `width` × `height`.

        Raises:
            SggError: it is missing, cannot be decoded or has another size (it was changed after it
                was checked, or only its header was); the message names it and the way out.

        """
        if self._plan is not None:
            return shapes.draw(self._plan, graph)
        if self._painted:
            return paint(graph, width, height)
        kind, _, place = ref.partition(":")
        try:
            image = open_upright(self._row_image(int(place)) if kind == "row" else Path(place))
        except FileNotFoundError as error:
            raise self._lost(ref, "is missing") from error
        except BrokenImage as error:
            raise self._lost(ref, f"cannot be decoded ({error})") from error
        if image.size != (width, height):
            now = f"{image.width} × {image.height}"
            raise self._lost(ref, f"is {now}, but was prepared as {width} × {height}")
        return image

    def _lost(self, ref: str, what: str) -> SggError:
        """An image that was sound when the data was prepared, or was not decoded then."""
        kind, _, place = ref.partition(":")
        name = f"of row {place}" if kind == "row" else place
        return SggError(
            f"{self._key}: image {name} {what}. It changed after the data was prepared, or its pixels "
            "were not looked at then. Put it back, or run `sgg prepare` again with this run's data.… "
            "overrides and data.image_check=decode: it finds all such images and drops them. Then start "
            "the run with the same overrides."
        )

    def _row_image(self, index: int) -> Path | BytesIO:
        if self._rows is None:
            assert self._open_rows is not None, "a row reference needs its table"
            self._rows = self._open_rows()
        source = row_image(self._rows[index]["image"])
        assert source is not None, "rows without an image are dropped when data is prepared"
        return source


def row_image(value: Mapping[str, Any] | None) -> Path | BytesIO | None:
    """What PIL can open of an undecoded `datasets.Image` value; None where there is no image."""
    if value is None:
        return None
    if value["bytes"] is not None:
        return BytesIO(value["bytes"])
    return Path(value["path"]) if value["path"] else None


def _ignore(kind: str) -> None:
    """What is odd about an image, to somebody who does not ask."""


def open_upright(source: Path | BytesIO, note: Note = _ignore) -> Image.Image:
    """The decoded image of a file, RGB, its first frame, turned as EXIF or XMP say.

    `note` is called with each kind (`clean.KINDS`) of what is odd about the image and costs nothing.

    Raises:
        FileNotFoundError: there is no such file.
        BrokenImage: it is none, or cannot be decoded; the message says why.

    """
    image = _taken(source, True, note)[1]
    assert image is not None
    return image


def look(source: Path | BytesIO | None, decode: bool, note: Note = _ignore) -> tuple[Size, str]:
    """The size of an image once upright and "", or (0, 0) and what is wrong by `clean.KINDS`.

    Without `decode` only the header is read. `note` as in `open_upright`.
    """
    if source is None:
        return (0, 0), "no_image"
    try:
        return _taken(source, decode, note)[0], ""
    except FileNotFoundError:
        return (0, 0), "no_image"
    except BrokenImage:
        return (0, 0), "broken_image"


def _taken(source: Path | BytesIO, decode: bool, note: Note) -> tuple[Size, Image.Image | None]:
    """The upright size and, if decoded, the image of a file.

    Pillow raises whatever its plugins happen to stumble over, so any error is the file's. A file is
    tried again without its metadata: they must not cost an image whose pixels are whole.
    """
    with warnings.catch_warnings(), _opened(source) as file:
        warnings.simplefilter("ignore", UserWarning)  # of metadata; `note` counts what matters
        warnings.simplefilter(
            "ignore", Image.DecompressionBombWarning
        )  # which is half of what is refused
        try:
            return _read(file, {}, decode, note)
        except Exception as error:
            broken = BrokenImage(f"{type(error).__name__}: {error}")
            try:
                file.seek(0)
                stripped, metadata = bare(file.read())
                found = _read(BytesIO(stripped), metadata, decode, note)
            except Exception:
                raise broken from error
            note("damaged_exif")
            return found


@contextmanager
def _opened(source: Path | BytesIO) -> Iterator[BinaryIO]:
    """A regular file of a bounded size; opening never waits, as it would for the writer of a FIFO.

    Raises:
        FileNotFoundError: there is no such file.
        BrokenImage: it is another kind of file, too large, or cannot be opened.

    """
    if isinstance(source, BytesIO):
        yield BytesIO(source.getvalue())
        return
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise BrokenImage(f"{type(error).__name__}: {error}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise BrokenImage("it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > MAX_FILE:
            raise BrokenImage(f"{found.st_size >> 20} MiB, over the {MAX_FILE >> 20} that are read")
        yield file


def _read(
    file: BinaryIO, metadata: Mapping[str, bytes], decode: bool, note: Note
) -> tuple[Size, Image.Image | None]:
    with Image.open(file, formats=FORMATS) as image:
        # TIFF is asked before `load`, which turns it, and nothing else, by itself; PNG may say it at its end
        tags = image.tag_v2 if isinstance(image, TiffImageFile) else None
        tagged = orientation_of_tiff(tags) if tags is not None else None
        orientation = tagged or orientation_of({**image.info, **metadata})
        if decode or (image.format == "PNG" and _has_late_notes(file)):
            image.load()
            orientation = (
                orientation if tags is not None else orientation_of({**image.info, **metadata})
            )
        is_upright = tagged is not None or (tags is not None and decode)
        turn = None if is_upright else TRANSPOSE.get(orientation.value)
        width, height = image.size
        size = (height, width) if turn in SWAPPING else (width, height)
        upright = to_rgb(image) if decode else None
        if upright is not None and turn is not None:
            upright = upright.transpose(turn)
        odd = {
            "damaged_exif": orientation.odd,
            "turned": orientation.value != 1,
            "wide_grey": is_wide_grey(image),
            "several_frames": _has_more_frames(image),
        }
    for kind in (k for k, found in odd.items() if found):
        note(kind)
    return size, upright


def _has_late_notes(file: BinaryIO) -> bool:
    """Whether a PNG has EXIF or text behind its pixels, where Pillow's header does not reach."""
    place = file.tell()
    file.seek(0)
    kinds = [kind for kind, _, _ in png_chunks(file)]
    file.seek(place)
    behind = kinds[kinds.index(b"IDAT") :] if b"IDAT" in kinds else []
    return not {b"eXIf", b"iTXt", b"tEXt", b"zTXt"}.isdisjoint(behind)


def _has_more_frames(image: Image.Image) -> bool:
    """Whether it moves or has pages; the first frame is whole whatever stands behind it."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # GIF asks its second frame
        return True


def look_at_file(ref: str, decode: bool, note: Note) -> tuple[Size, str]:
    """What `look` says about the file behind a reference."""
    place = ref.removeprefix("file:")
    return look(Path(place) if place else None, decode, note)


def stamp(file: str) -> str | None:
    """Bytes and time of a file: changes when the file does; None where there is none."""
    path = Path(file)
    if not path.is_file():
        return None
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
