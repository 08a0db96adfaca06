"""Files that may be gzipped: called .gz, or with gzip's beginning whatever they are called."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from sgg.errors import SggError
from sgg.files import LINE_BYTES, opened

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP = b"\x1f\x8b"
"""How gzipped data begins."""
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading damaged gzip data raises."""
UNPACKED_BYTES = 1 << 30
"""Most that a gzipped file may hold: a megabyte of it can unpack to a gigabyte."""


def is_packed(path: Path) -> bool:
    """Whether the file is gzipped, or claims to be by its name.

    Raises:
        SggError: it is no regular file.

    """
    with opened(path.resolve(), "rb") as file:
        return path.suffix == ".gz" or file.read(len(_GZIP)) == _GZIP


def open_unpacked(path: Path) -> BinaryIO:
    """The file's content, to be read as bytes.

    When it is read, what is damaged raises one of `DAMAGED`, and what holds more than `UNPACKED_BYTES` an
    SggError.

    Raises:
        SggError: it is no regular file.

    """
    if not is_packed(path):
        return cast(BinaryIO, opened(path.resolve(), "rb"))
    return cast(BinaryIO, BufferedReader(_Unpacked(path), 1 << 16))


def lines_of(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The lines of a file, with their ends.

    Raises:
        SggError: one is longer than `LINE_BYTES`.

    """
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if len(line) > LINE_BYTES:
            raise SggError(f"{path}, line {number} is longer than {LINE_BYTES >> 20} MiB.")
        yield line


class _Unpacked(RawIOBase):
    """What a gzipped file holds, as far as that is bounded."""

    def __init__(self, path: Path) -> None:
        self._path, self._file, self._read = path, gzip.GzipFile(path.resolve()), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        block = self._file.read(len(view))
        view[: len(block)] = block
        self._read += len(block)
        if self._read > UNPACKED_BYTES:
            raise SggError(
                f"{self._path}: holds more than {UNPACKED_BYTES >> 30} GiB unpacked. If it is meant to, "
                "unpack it yourself (gunzip) and name the unpacked file."
            )
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()
