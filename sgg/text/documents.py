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

from sgg.text.lenient_json import members, read_json, values
from sgg.text.problems import ErrorKind

_KEYS = ("objects", "relationships")
MAX_BROKEN = 16
"""Objects with an error in them that are looked past; what follows is not read, as if it were cut off."""

_KEY = re.compile(r'"(?:objects|relationships)"\s*+:')
_ESCAPED = r'"(?=\\(?:\\\\)*+(?!\\))'
"""A quote after an odd number of backslashes, read from the end: it is part of a text."""
_BACKWARD = re.compile(rf'(?!{_ESCAPED})"[^"]*+(?:{_ESCAPED}[^"]*+)*+(?:"|\Z)|[{{}}\[\]]')
"""Tokens of JSON that is read from its end."""
_READ_AGAIN = 3
"""Times that a text's length may be read a second time, for graphs inside of what is no graph itself."""


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

    @property
    def has_objects(self) -> bool:
        """Whether any of its objects is written as asked, with an id."""
        return any(isinstance(item, dict) and "id" in item for item in self.list(_KEYS[0]) or ())

    def replaces(self, outer: Document) -> bool:
        """Whether nothing is lost with the object that this one stands in."""
        relations = outer.list(_KEYS[1]) and _KEYS[1] not in self.content
        return self.has_objects and not outer.has_objects and not relations

    def repeats(self, key: str) -> bool:
        """Whether the key comes again."""
        return len(values(self.content, key)) > 1


def find_documents(passages: Iterable[str]) -> list[tuple[int, Document]]:
    """All of them in their order, each with the place of its passage.

    A graph in another object with these keys, such as {"objects": 2, "scene_graph": {…}}, stands for it.
    """
    found: list[tuple[int, Document]] = []
    broken = 0
    for place, text in enumerate(passages):
        position, budget = 0, _READ_AGAIN * len(text)
        around = 0  # where the last object ends that is looked into
        while (key := _KEY.search(text, position)) is not None:
            if broken == MAX_BROKEN:
                return [*found, (place, Document({}, (ErrorKind.truncated,)))]
            start = _enclosing(text, position, key.start())
            position = key.end()
            if start is None:
                continue
            content, end, syntax = _read(text, start)
            document, is_inside = Document(content, syntax), start < around
            broken += bool(syntax)
            if document.has_objects or end - start > budget:
                position = max(position, end)
            else:
                budget -= end - start
                around = max(around, end)
            if is_inside and found and document.replaces(found[-1][1]):
                found[-1] = place, document
            elif any(name in content for name in _KEYS) and (document.has_objects or not is_inside):
                found.append((place, document))
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
