"""Text of strangers on a terminal: names, completions and messages of servers must not steer it.

Input: any text. Output: the same without escape sequences (ECMA-48) and other control characters, so that
nothing that is printed moves the cursor, changes colours or a window's title, or reverses what one reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_SEQUENCE = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
_ORDER = "[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
"""Marks that reverse the order of what follows (letters that are written from the right need none), and the
separators of lines and paragraphs, by which one line is shown or read as two."""
# no string holds what begins another one: the time stays proportional to the length of the text
_STRIPPED = re.compile("|".join((_STRING, _SEQUENCE, _CONTROL, _ORDER)))


def without_controls(text: str) -> str:
    r"""The text without what would steer a terminal; line ends and tabs stay.

    >>> without_controls("\x1b[31mred\x1b]0;title\x07 \u202ebat\n")
    'red bat\n'
    """
    return text if text.isascii() and text.isprintable() else _STRIPPED.sub("", text)


def encodable(text: str) -> str:
    r"""The text as UTF-8 can hold it: a folder's name may have bytes that are none, which become `?`.

    >>> encodable("run\udcff")
    'run?'
    """
    return text.encode("utf-8", "replace").decode()


class PlainStream:
    """A stream that writes text without control characters; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it; a progress bar's return to the beginning of its line stays where it begins the text."""
        begin = "\r" if text.startswith("\r") else ""
        self._stream.write(begin + without_controls(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    @property
    def unfiltered(self) -> TextIO:
        """The stream itself, for who draws on a terminal and cleans the text of others by itself."""
        return self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Whatever Python prints meanwhile is plain."""
    before = sys.stdout, sys.stderr
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        if not isinstance(stream, PlainStream):
            setattr(sys, name, cast(TextIO, PlainStream(stream)))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
