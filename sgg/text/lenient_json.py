"""JSON as models really write it: cut short, with trailing commas, with wrong escapes.

Input: text and where an object begins. Output: what could be read, where reading ended, and what
was wrong with the syntax. Never raises, never goes back: time is linear in the text. An object whose keys
come again keeps all of their values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

MAX_DEPTH = 32


class Syntax(Enum):
    """What can be wrong with the form."""

    truncated = "truncated"
    malformed = "malformed"
    trailing_comma = "trailing_comma"


_TOKEN = re.compile(
    r'\s*(?:(?P<mark>[{}\[\],:])|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>true|false|null|NaN))",
    re.DOTALL,
)
_CUT = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*\\?|[-\w.+]{0,16})', re.DOTALL)
"""What may stand at the end of a text that was cut: nothing, an open string, half a word."""
_WORDS = {"true": True, "false": False, "null": None, "NaN": math.nan}
TOP_LEVELS = 2
"""The document and its two lists are kept although unclosed; anything deeper is one item."""
MAX_TOKENS = 8192
"""Tokens read one by one; sound items of the lists go through the standard reader and are free."""
_ITEM = re.compile(r"\s*\{")
_NEXT_ITEM = re.compile(r"\s*,\s*\{")


class Members(dict[str, Any]):
    """An object as it was written: as a mapping the last value of each key, and all its members in order."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def put(self, key: str, value: Any) -> None:
        """Add a member."""
        self[key] = value
        self.pairs.append((key, value))


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some members: a plain one where no key comes again."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Members(pairs)


def values(content: Mapping[str, Any], key: str) -> list[Any]:
    """All values of a key, in order."""
    if isinstance(content, Members):
        return [value for name, value in content.pairs if name == key]
    return [content[key]] if key in content else []


_TEXT = json.JSONDecoder(strict=False)
_SCAN = json.JSONDecoder(parse_int=float, strict=False).scan_once  # type: ignore[attr-defined]
"""The standard reader's inner function: (text, start) -> (value, end)."""
_SCAN_MEMBERS = json.JSONDecoder(object_pairs_hook=members, parse_int=float, strict=False).scan_once  # type: ignore[attr-defined]


def read_json(text: str, start: int) -> tuple[Any, int, list[Syntax]]:
    """Read JSON that may end early or carry trailing commas: (document, end, problems).

    One pass with an explicit stack: no recursion, no look-back. Containers below the two top levels
    join their parent only when closed, so an item cut in two is dropped whole.
    """
    stack: list[tuple[Any, str | None]] = []  # (container, the key under which it will be kept)
    key: str | None = None
    last = ":"  # what the token before was: `:` and `,` themselves, else "open", "key" or "value"
    trailing_comma = False
    position = start
    budget = MAX_TOKENS
    while True:
        if len(stack) == TOP_LEVELS and last in ("open", ",") and isinstance(stack[1][0], list):
            end = _whole_items(text, position, stack[1][0])
            if end > position:
                position, last = end, "value"
        budget -= 1
        token = _TOKEN.match(text, position)
        in_object = bool(stack) and isinstance(stack[-1][0], dict)
        too_much = len(stack) > MAX_DEPTH or not budget
        if token is None or too_much or not _fits(token, last, in_object):
            cut = token is None and _CUT.fullmatch(text, position)
            kind = Syntax.truncated if cut else Syntax.malformed
            return (stack[0][0] if stack else None), position, [kind]
        position = token.end()
        mark = token["mark"]
        if mark in ("{", "["):
            container: Any = Members([]) if mark == "{" else []
            if stack and len(stack) < TOP_LEVELS:
                _put(stack[-1][0], key, container)
            stack.append((container, key))
            last = "open"
        elif mark in ("}", "]"):
            container, own_key = stack.pop()
            trailing_comma |= last == ","
            if not stack:
                return container, position, [Syntax.trailing_comma] if trailing_comma else []
            if len(stack) >= TOP_LEVELS:
                _put(stack[-1][0], own_key, container)
            last = "value"
        elif mark is not None:
            last = mark
        elif in_object and last != ":":
            key = str(_scalar(token))
            last = "key"
        else:
            _put(stack[-1][0], key, _scalar(token))
            last = "value"


def _whole_items(text: str, position: int, items: list[Any]) -> int:
    """Add the sound objects from the position on, commas between; where the last one ends."""
    found, end = _scan_items(text, position, _SCAN)
    if text.count(":", position, end) != sum(map(len, found)):  # perhaps a key comes again
        found, end = _scan_items(text, position, _SCAN_MEMBERS)
    items += found
    return end


def _scan_items(
    text: str, position: int, scan: Callable[[str, int], tuple[Any, int]]
) -> tuple[list[Any], int]:
    """(sound objects, where the last one ends)."""
    found: list[Any] = []
    opening = _ITEM.match(text, position)
    while opening is not None:
        try:
            item, position = scan(text, opening.end() - 1)
        except (ValueError, RecursionError, StopIteration):
            break
        found.append(item)
        opening = _NEXT_ITEM.match(text, position)
    return found, position


def _fits(token: re.Match[str], last: str, in_object: bool) -> bool:
    """Whether JSON's grammar, trailing commas aside, allows the token after `last`."""
    mark = token["mark"]
    if mark == ":":
        return last == "key"
    if mark == ",":
        return last == "value"
    if mark in ("}", "]"):
        return last in ("open", "value", ",") and (mark == "}") == in_object
    if in_object and last != ":":
        return last in ("open", ",") and token["text"] is not None
    return last in ("open", ",", ":")


def _scalar(token: re.Match[str]) -> Any:
    if token["text"] is not None:
        try:
            return _TEXT.decode(token["text"])
        except ValueError:  # a broken escape such as \x: keep the characters
            return token["text"][1:-1]
    return float(token["number"]) if token["number"] is not None else _WORDS[token["word"]]


def _put(container: Any, key: str | None, value: Any) -> None:
    if isinstance(container, list):
        container.append(value)
    else:
        assert key is not None, "the grammar puts a key before every value of an object"
        container.put(key, value)
