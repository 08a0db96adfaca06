"""The JSON objects of a text that have a graph's keys, whatever stands before, between and around them.

They are found by their keys, so prose, fences, other JSON and wrappers such as {"scene_graph": …} cost
next to nothing and hide nothing. Never raises; time is linear in the text, since reading resumes where
it stopped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from sgg.lenient_json import members, read_json, values
from sgg.problems import ErrorKind

_KEYS = ("objects", "relationships")
MAX_BROKEN = 16
"""Objects with an error in them that are looked past; what follows is not read, as if it were cut off."""

_KEY = re.compile(r'"(?:objects|relationships)"\s*+:')
_BACKWARD = re.compile(r'"[^"]*(?:"|\Z)|[{}\[\]]')
"""Tokens of JSON that is read from its end."""


class Document(NamedTuple):
    """A JSON object with `objects` or `relationships`."""

    content: dict[str, Any]
    syntax: tuple[ErrorKind, ...] = ()
    """What is wrong with its form."""

    @property
    def whole(self) -> bool:
        """Whether it could be read to its end."""
        return not self.syntax or self.syntax == (ErrorKind.trailing_comma,)

    @property
    def lost(self) -> tuple[ErrorKind, ...]:
        """What is to be said of a document that is not read: an error that may have cost a graph.

        A form that is said back, such as [x1,y1,x2,y2], is none.
        """
        form = self.syntax == (ErrorKind.malformed,) and not any(map(self.list, _KEYS))
        return () if self.whole or form else self.syntax

    def list(self, key: str) -> list[Any] | None:
        """The list under the key, or those that it has one after another; None without any."""
        lists = [value for value in values(self.content, key) if isinstance(value, list)]
        return [item for part in lists for item in part] if lists else None

    def repeats(self, key: str) -> bool:
        """Whether the key comes again."""
        return len(values(self.content, key)) > 1


def find_documents(passages: Iterable[str]) -> list[tuple[int, Document]]:
    """All of them in their order, each with the place of its passage."""
    found: list[tuple[int, Document]] = []
    broken = 0
    for place, text in enumerate(passages):
        position = 0
        while (key := _KEY.search(text, position)) is not None:
            if broken == MAX_BROKEN:
                return [*found, (place, Document({}, (ErrorKind.truncated,)))]
            start = _enclosing(text, position, key.start())
            position = key.end()
            if start is None:
                continue
            content, end, syntax = _read(text, start)
            position = max(position, end)
            broken += bool(syntax)
            if "objects" in content or "relationships" in content:
                found.append((place, Document(content, syntax)))
    return found


def _enclosing(text: str, position: int, key: int) -> int | None:
    """Where the object that a key stands in begins, if that is after `position`."""
    if text.endswith("{", position, key):
        return key - 1
    depth = 0
    for token in _BACKWARD.finditer(text[position:key][::-1]):
        if token[0] in ("}", "]"):
            depth += 1
        elif token[0] in ("{", "["):
            if not depth:
                return key - token.end() if token[0] == "{" else None
            depth -= 1
    return None


_DECODER = json.JSONDecoder(strict=False)
_MEMBERS_DECODER = json.JSONDecoder(object_pairs_hook=members, strict=False)
_FLOAT_DECODER = json.JSONDecoder(object_pairs_hook=members, parse_int=float, strict=False)


def _read(text: str, start: int) -> tuple[dict[str, Any], int, tuple[ErrorKind, ...]]:
    """(content, where reading ended, problems) of an object, by the standard reader where it can."""
    reached = start
    try:
        content, end = _DECODER.raw_decode(text, start)
        if text.count(":", start, end) != _count_keys(content):  # perhaps a key comes again
            content, end = _MEMBERS_DECODER.raw_decode(text, start)
        return content, end, ()
    except json.JSONDecodeError as error:
        reached = error.pos
    except RecursionError:
        pass
    except ValueError:  # a whole number too long for int()
        with suppress(ValueError, RecursionError):
            return *_FLOAT_DECODER.raw_decode(text, start), ()
    content, end, met = read_json(text, start)
    # the lenient reader takes `.5` and wrong escapes: no item is lost, but it is no JSON
    syntax = tuple(ErrorKind[kind.name] for kind in met) or (ErrorKind.malformed,)
    return content, max(end, reached), syntax


def _count_keys(content: dict[str, Any]) -> int:
    """Keys of an object and of the objects in its lists."""
    count = len(content)
    for items in content.values():
        if isinstance(items, list):
            count += sum(len(item) for item in items if isinstance(item, dict))
    return count
