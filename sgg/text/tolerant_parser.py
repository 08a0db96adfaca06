"""The items of a document, one by one: its objects and relations -> nodes and edges.

Every fault is named and costs its own item only. Documents without any take the quick way of
`sgg.text.strict_parser`, which reads an id and a box as this module does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from sgg.scene.graph import Box, Edge, Node, Triplet, name_of_id
from sgg.scene.vocab import Vocabulary, canonical
from sgg.text.lenient_json import values
from sgg.text.problems import ErrorKind, Problem

MAX_NAME = 128
"""Characters of a name or id; a longer one is no name."""
MAX_COORDINATE = 1e7
MAX_ITEMS = 4096
"""Objects, and relations, that are read; the rest of a longer list is one bad item."""

LABELS = ("label", "name", "category", "class")
"""Keys that are passed over, unless they contradict the id."""

new_tuple = tuple.__new__
"""Makes a named tuple in half the time of its own constructor; thousands are made per second."""


class View(NamedTuple):
    """By what items are read."""

    vocabulary: Vocabulary | None
    """Closed vocabulary of the prompt, if any."""
    frame: tuple[float, float]
    """Width and height in which boxes are written."""
    scale: tuple[float, float]
    """Original pixels by unit of the frame, across and down."""


def read_objects(
    items: list[Any] | None, view: View, problems: list[Problem]
) -> tuple[list[Node], dict[str, int]]:
    """Usable objects, boxes in original pixels, and their indices by id in lower case."""
    nodes: list[Node] = []
    index: dict[str, int] = {}
    vocabulary, frame, (scale_x, scale_y) = view
    for place, item in enumerate(_first(items, "objects", ErrorKind.bad_object, problems)):
        try:
            text, key, name, sound = read_id(item["id"])
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
            continue
        if key in index:
            problems.append(Problem(ErrorKind.duplicate_id, text))
            continue
        if not sound:
            problems.append(Problem(ErrorKind.odd_id, text))
        if len(item) > 2 or type(item) is not dict:
            problems += [Problem(kind, text) for kind in _other_members(item, name)]
        problems += [Problem(kind, text) for kind in frame_faults(box, frame)]
        if vocabulary is not None and not vocabulary.knows_object(name):
            problems.append(Problem(ErrorKind.unknown_class, text))
        index[key] = len(nodes)
        scaled = (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
        nodes.append(new_tuple(Node, (name, scaled)))
    return nodes, index


def _other_members(item: dict[str, Any], name: str) -> Iterator[ErrorKind]:
    """What is wrong with an object that has more than an id and a box, once."""
    if _comes_again(item, ("id", "bbox")):
        yield ErrorKind.duplicate_key
    labels = (item.get(key) for key in LABELS)
    if any(isinstance(x, str) and canonical(x) != canonical(name) for x in labels):
        yield ErrorKind.other_label


def read_relations(
    items: list[Any] | None, index: dict[str, int], view: View, problems: list[Problem]
) -> tuple[list[Edge], list[Triplet]]:
    """Relations between usable objects, and the names of those that dangle."""
    edges: list[Edge] = []
    loose: list[Triplet] = []
    kind, vocabulary = ErrorKind.bad_relation, view.vocabulary
    for place, item in enumerate(_first(items, "relationships", kind, problems)):
        try:
            subject, subject_key, subject_name, _ = read_id(item["subject"])
            predicate, *_ = read_id(item["predicate"])
            obj, object_key, object_name, _ = read_id(item["object"])
        except (TypeError, KeyError, ValueError):
            problems.append(Problem(kind, f"relationships[{place}]"))
            continue
        if type(item) is not dict and _comes_again(item, ("subject", "predicate", "object")):
            problems.append(Problem(ErrorKind.duplicate_key, f"{subject} {predicate} {obj}"))
        start, end = index.get(subject_key), index.get(object_key)
        if start is None or end is None:
            problems.append(Problem(ErrorKind.dangling_relation, f"{subject} {predicate} {obj}"))
            loose.append((subject_name, predicate, object_name))
            continue
        if vocabulary is not None and not vocabulary.knows_predicate(predicate):
            problems.append(Problem(ErrorKind.unknown_predicate, predicate))
        edges.append(new_tuple(Edge, (start, predicate, end)))
    return edges, loose


def _first(
    items: list[Any] | None, key: str, kind: ErrorKind, problems: list[Problem]
) -> Iterable[Any]:
    """The items of a list, up to MAX_ITEMS of them."""
    if items is None:
        return ()
    if len(items) <= MAX_ITEMS:
        return items
    problems.append(Problem(kind, f"{key}[{MAX_ITEMS}:]"))
    return islice(items, MAX_ITEMS)


def _comes_again(item: dict[str, Any], keys: tuple[str, ...]) -> bool:
    return any(len(values(item, key)) > 1 for key in keys)


@lru_cache(maxsize=1 << 16)
def read_id(value: Any) -> tuple[str, str, str, bool]:
    """An id, or a predicate: (trimmed text, key by which ids are compared, class name in it, sound).

    Sound is an id of a class name, a dot and one number.

    Raises:
        TypeError, ValueError: no text, an empty or an overlong one; nothing is remembered then.

    """
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError("no usable name")
    text = value.encode("utf-8", "replace").decode("utf-8").strip()
    if not text:
        raise ValueError("no usable name")
    name = name_of_id(text)
    return text, text.lower(), name, "" != name != text and name_of_id(name) == name


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


def frame_faults(box: Box, frame: tuple[float, float]) -> list[ErrorKind]:
    """What is wrong with a box as a place in its frame."""
    x1, y1, x2, y2 = box
    faults = []
    if (
        x2 <= 1 < frame[0]
        and y2 <= 1 < frame[1]
        and not all(float(value).is_integer() for value in box)
    ):
        faults.append(ErrorKind.unit_box)
    if x2 <= 0 or y2 <= 0 or x1 >= frame[0] or y1 >= frame[1]:
        faults.append(ErrorKind.outside_box)
    return faults
