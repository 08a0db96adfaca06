"""The items of a document, one by one: its objects and relations -> nodes and edges.

Every fault is named and costs its own item alone. Documents without any take the quick way of
`sgg.sound`, which reads an id and a box as this module does.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

from sgg.graph import Box, Edge, Node, Triplet, name_of_id
from sgg.problems import ErrorKind, Problem
from sgg.vocab import Vocabulary

MAX_NAME = 128
"""Characters of a name or id; a longer one is no name."""
MAX_COORDINATE = 1e7
MAX_ITEMS = 4096
"""Objects, and relations, that are read; the rest of a longer list is one bad item."""

new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its own constructor; thousands are made per second."""


def read_objects(
    items: Any,
    vocabulary: Vocabulary | None,
    scale: tuple[float, float],
    problems: list[Problem],
) -> tuple[list[Node], dict[str, int]]:
    """Usable objects, boxes in original pixels, and their indices by id in lower case."""
    nodes: list[Node] = []
    index: dict[str, int] = {}
    scale_x, scale_y = scale
    for place, item in enumerate(_first(items, "objects", ErrorKind.bad_object, problems)):
        try:
            text, key, name = read_id(item["id"])
        except (TypeError, KeyError, ValueError):
            name = ""
        if not name:
            problems.append(Problem(ErrorKind.bad_object, f"objects[{place}]"))
            continue
        box = _box(item.get("bbox"))
        if box is None:
            problems.append(Problem(ErrorKind.bad_box, text))
            continue
        x1, y1, x2, y2 = box
        if x2 <= x1 or y2 <= y1:
            problems.append(Problem(ErrorKind.degenerate_box, text))
        elif key in index:
            problems.append(Problem(ErrorKind.duplicate_id, text))
        else:
            if vocabulary is not None and not vocabulary.knows_object(name):
                problems.append(Problem(ErrorKind.unknown_class, text))
            index[key] = len(nodes)
            scaled = (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
            nodes.append(new_tuple(Node, (name, scaled)))
    return nodes, index


def read_relations(
    items: Any,
    index: dict[str, int],
    vocabulary: Vocabulary | None,
    problems: list[Problem],
) -> tuple[list[Edge], list[Triplet]]:
    """Relations between usable objects, and the names of those that dangle."""
    edges: list[Edge] = []
    loose: list[Triplet] = []
    kind = ErrorKind.bad_relation
    for place, item in enumerate(_first(items, "relationships", kind, problems)):
        try:
            subject, subject_key, subject_name = read_id(item["subject"])
            predicate, _, _ = read_id(item["predicate"])
            obj, object_key, object_name = read_id(item["object"])
        except (TypeError, KeyError, ValueError):
            problems.append(Problem(kind, f"relationships[{place}]"))
            continue
        start, end = index.get(subject_key), index.get(object_key)
        if start is None or end is None:
            problems.append(Problem(ErrorKind.dangling_relation, f"{subject} {predicate} {obj}"))
            loose.append((subject_name, predicate, object_name))
            continue
        if vocabulary is not None and not vocabulary.knows_predicate(predicate):
            problems.append(Problem(ErrorKind.unknown_predicate, predicate))
        edges.append(new_tuple(Edge, (start, predicate, end)))
    return edges, loose


def _first(items: Any, key: str, kind: ErrorKind, problems: list[Problem]) -> Iterable[Any]:
    """The items of a list, up to MAX_ITEMS of them."""
    if not isinstance(items, list):
        return ()
    if len(items) <= MAX_ITEMS:
        return items
    problems.append(Problem(kind, f"{key}[{MAX_ITEMS}:]"))
    return islice(items, MAX_ITEMS)


@lru_cache(maxsize=1 << 16)
def read_id(value: Any) -> tuple[str, str, str]:
    """An id, or a predicate: (trimmed text, the key by which ids are compared, the class name in it).

    Raises:
        TypeError, ValueError: no text, an empty or an overlong one; nothing is remembered then.

    """
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError("no usable name")
    text = value.encode("utf-8", "replace").decode("utf-8").strip()
    if not text:
        raise ValueError("no usable name")
    return text, text.lower(), name_of_id(text)


_NUMBERS = frozenset({int, float})


def _box(value: Any) -> Box | None:
    """Four finite numbers (numbers written as text count), or None."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    x1, y1, x2, y2 = value
    if not _NUMBERS.issuperset(map(type, value)):
        try:
            x1, y1, x2, y2 = map(_number, value)
        except (TypeError, ValueError, OverflowError):
            return None
    low, high = -MAX_COORDINATE, MAX_COORDINATE  # the comparisons are also false for NaN
    if low <= x1 <= high and low <= y1 <= high and low <= x2 <= high and low <= y2 <= high:
        return x1, y1, x2, y2
    return None


def _number(value: Any) -> float:
    if isinstance(value, bool) or "_" in str(value):  # float() reads "1_0" as 10
        raise ValueError(f"{value!r} is no number")
    return float(value)
