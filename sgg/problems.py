"""What can be wrong with an answer, by kind and by item.

Speaks of answers' text alone: what is wrong with annotations stands in `data.check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ErrorKind(Enum):
    """What can be wrong with an answer. The first four concern the whole, the rest one item."""

    no_json = "no_json"
    """No JSON object with `objects` or `relationships` was found."""
    truncated = "truncated"
    """The text ended inside the JSON; whole items before that are kept."""
    malformed = "malformed"
    """A syntax error inside the JSON; whole items before it are kept."""
    empty = "empty"
    """No usable object."""
    trailing_comma = "trailing_comma"
    missing_list = "missing_list"
    """`objects` or `relationships` is absent or no list."""
    bad_object = "bad_object"
    """Not a mapping with a text id that names a class."""
    bad_box = "bad_box"
    """Not four finite numbers."""
    degenerate_box = "degenerate_box"
    """x2 <= x1 or y2 <= y1."""
    duplicate_id = "duplicate_id"
    """An id seen before; the first one stays."""
    bad_relation = "bad_relation"
    """Not a mapping with three texts."""
    dangling_relation = "dangling_relation"
    """An end that no usable object declares."""
    unknown_class = "unknown_class"
    """Outside a closed vocabulary; the item is kept, as a miss."""
    unknown_predicate = "unknown_predicate"
    """Outside a closed vocabulary; the item is kept, as a miss."""


FAILURES = frozenset({ErrorKind.no_json, ErrorKind.truncated, ErrorKind.malformed, ErrorKind.empty})
"""The kinds that make an answer a failure; the others cost one item each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong, and the item it concerns (empty for the whole answer)."""

    kind: ErrorKind
    item: str = ""
