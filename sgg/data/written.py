"""Numbers and names as strangers write them: what JSON's types allow and an annotation cannot mean.

Input: one value of an annotation. Output: what it says, and the kind (`clean.KINDS`) of what is odd
about it. Python would take `true` for 1, the text "1289" for four numbers and null for the class "None".
"""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


def numbers(values: Any) -> tuple[tuple[float, ...], str]:
    """The numbers of a box, and "text_box" where some are written as texts; none if one is no number.

    >>> numbers([1, 2.5, "30", 40])
    ((1.0, 2.5, 30.0, 40.0), 'text_box')
    >>> numbers([True, 0, 1, 1])
    ((), '')
    """
    if not isinstance(values, list | tuple):
        return (), ""
    read: list[float] = []
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            return (), ""
        try:
            read.append(float(value))
        except OverflowError:  # an integer of 400 digits
            return (), ""
    return tuple(read), "text_box" if any(isinstance(v, str) for v in values) else ""


def pixels(value: Any) -> int:
    """A side of an image.

    Raises:
        TypeError, ValueError, OverflowError: it is no whole number.

    """
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError(f"{value} is no number of pixels")
    return int(value)


def image_id(value: Any) -> str:
    """An image's id, a number or a text.

    Raises:
        ValueError: it is neither, or empty.

    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or not str(value).strip()
    ):
        raise ValueError(f"{value!r} is no image id")
    return str(value)


def index(value: Any) -> int:
    """A class id or a place in a list, which a truth value is not.

    Raises:
        TypeError: it is no whole number.

    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no id")
    return value


def looks_numbered(name: str) -> bool:
    """Whether a class looks like an id, its number not cut off: man_1, man1, man-2, man #3, 1_man, 7."""
    return _NUMBERED.search(name.strip()) is not None


_NUMBERED = re.compile(r"\d[)\]]?$|^\d+[_.:#-]+\D")
