"""Files that may be gzipped: called .gz, or with gzip's beginning whatever they are called."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

_GZIP = b"\x1f\x8b"
"""How gzipped data begins."""
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading damaged gzip data raises."""


def is_packed(path: Path) -> bool:
    """Whether the file is gzipped, or claims to be by its name."""
    with path.open("rb") as file:
        return path.suffix == ".gz" or file.read(len(_GZIP)) == _GZIP


def open_unpacked(path: Path) -> BinaryIO:
    """The file's content, to be read as bytes. What is damaged raises one of `DAMAGED` when it is read."""
    return cast(BinaryIO, gzip.open(path)) if is_packed(path) else path.open("rb")
