"""What can be wrong with a completion, by kind and by item.

Speaks of completions' text alone: what is wrong with annotations is in `data.clean`. Which way of writing
leads to which kind stands in the table in docs/rewards.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ErrorKind(Enum):
    """What can be wrong with a completion. The first five concern the whole, the rest one list or item."""

    no_json = "no_json"
    """No JSON object with `objects` or `relationships` was found."""
    truncated = "truncated"
    """The text ended inside the JSON, whose whole items are kept, or inside a thought that was asked for."""
    malformed = "malformed"
    """A syntax error inside the JSON; whole items before it are kept."""
    empty = "empty"
    """No usable object."""
    several_graphs = "several_graphs"
    """More than one JSON object with `objects` or `relationships`; the last whole graph is read."""
    trailing_comma = "trailing_comma"
    missing_list = "missing_list"
    """`objects` or `relationships` is absent or no list."""
    duplicate_key = "duplicate_key"
    """A key that comes again in one object: lists are joined, of an item's values the last one counts."""
    bad_object = "bad_object"
    """Not a mapping with a text id that names a class."""
    odd_id = "odd_id"
    """An id that is not a class name, a dot and one number: the item is kept, and its class is the id
    without its last number, if there is one."""
    other_label = "other_label"
    """A key such as `label` names another class than the id beside it; the id counts."""
    bad_box = "bad_box"
    """Not four finite numbers under `bbox`."""
    degenerate_box = "degenerate_box"
    """x2 <= x1 or y2 <= y1."""
    unit_box = "unit_box"
    """Fractions up to 1, as of an image of width and height 1; the item is kept, as a miss."""
    outside_box = "outside_box"
    """A box that does not touch the image; the item is kept, as a miss."""
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
"""The kinds that make a completion a failure; the others leave its other items as they are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong, and the item it concerns (empty for the whole completion)."""

    kind: ErrorKind
    item: str = ""
