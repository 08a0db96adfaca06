"""JSON lines that another process is writing: each look reads what was appended since the last one.

A file may be replaced or cut: a resumed run writes metrics.jsonl anew, without the steps that it makes again.
That is noticed by the file's identity, its length and the bytes before the place reached, and it is read
from its beginning.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from sgg.errors import SggError
from sgg.files import LINE_BYTES, LINES_BYTES, converted, opened
from sgg.runs.folder import json_object

T = TypeVar("T")

_KEPT = 64
"""Bytes before the place reached that are compared."""


class AppendedLines(Generic[T]):
    """A reader of one file, which need not be there yet."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        """`kind` is the form of a line, as msgspec takes it."""
        self._path, self._kind = path, kind
        self._identity: tuple[int, int] | None = None
        self._offset = self._number = 0
        self._last = b""

    def new(self, forget: Callable[[], None]) -> Iterator[T]:
        """What was appended, in whole lines; the last one may still be being written.

        A line that cannot be read is passed over by the next look.

        Args:
            forget: called where the file is another one than before, before its first line is given.

        Raises:
            SggError: a line is of another form or too long, or the file is too long or no regular one.
            OSError: it may not be read, or is a symbolic link.

        """
        try:
            file = opened(self._path, "rb")
        except (FileNotFoundError, NotADirectoryError):
            if self._identity is not None:
                self._begin()
                forget()
            return
        with file:
            identity = _identity(file)
            if self._identity is not None and not self._goes_on(file, identity):
                self._begin()
                forget()
            self._identity = identity
            yield from self._lines(file)

    def _begin(self) -> None:
        self._identity = None
        self._offset = self._number = 0
        self._last = b""

    def _goes_on(self, file: IO[bytes], identity: tuple[int, int]) -> bool:
        if identity != self._identity:
            return False
        file.seek(self._offset - len(self._last))
        return file.read(len(self._last)) == self._last

    def _lines(self, file: IO[bytes]) -> Iterator[T]:
        file.seek(self._offset)
        while line := file.readline(LINE_BYTES + 1):
            if len(line) > LINE_BYTES or self._offset + len(line) > LINES_BYTES:
                raise SggError(f"{self._path}: too long, so sgg did not write it.")
            if not line.endswith(b"\n"):
                return
            self._offset += len(line)
            self._number += 1
            self._last = (self._last + line)[-_KEPT:]
            place = f"{self._path}, line {self._number}"
            row: Any = json_object(line, place)
            yield converted(row, self._kind, place)


def _identity(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino
