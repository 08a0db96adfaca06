"""Class and predicate names as files list them: COCO's categories, names in order, names by number.

Input: JSON content. Output: names by number (as text, so that 3 and "3" are one). What stands for
"nothing" at number 0 (`__background__`, `no_relation`) is no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sgg.scene.vocab import canonical

PREDICATES = (
    "rel_categories",
    "predicates",
    "predicate_categories",
    "relation_categories",
    "relationship_categories",
    "predicate_classes",
    "relation_classes",
    "idx_to_predicate",
)
"""Keys under which files list their predicates."""
_NOTHING = {"background", "no relation", "n/a", ""}


def is_name(value: Any) -> bool:
    """Whether a class or predicate is named: a text that is more than a number."""
    return isinstance(value, str) and not re.fullmatch(r"[\s\d]*", value)


def names_by_id(listed: Any) -> dict[str, str]:
    """Of [{"id", "name"}], of names that count from 0, of names by number or of numbers by name.

    A number that has no name (`is_name`) is left out.

    Raises:
        TypeError, LookupError: it is none of these.

    """
    if isinstance(listed, Mapping):
        pairs = [(n, k) if type(n) is int else (k, n) for k, n in listed.items()]
    else:
        pairs = [_pair(place, entry) for place, entry in enumerate(listed)]
    names = {str(key): name for key, name in pairs if is_name(name)}
    if "0" in names and canonical(names["0"]) in _NOTHING:
        del names["0"]
    return names


def _pair(place: int, entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, Mapping):
        return entry.get("id", place), entry["name"]
    if not isinstance(entry, str):
        raise TypeError(f"{entry!r} is no name")
    return place, entry


def shared_names(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Names that several numbers have, with the numbers."""
    numbers: dict[str, list[str]] = {}
    for key, name in names.items():
        numbers.setdefault(canonical(name), []).append(key)
    return {names[keys[0]]: keys for keys in numbers.values() if len(keys) > 1}


def one_off(
    used: Iterable[Any], names: Mapping[str, str], users: str, key: str, listed: str, name: str
) -> Iterator[str]:
    """A sentence where numbers seem to count from another one than the names do.

    Args:
        used: the numbers as they are written.
        users: who uses them, under which key; `listed` and `name` are what they mean.

    """
    known = sorted(int(number) for number in names if number.isdecimal())
    if not known:
        return
    (first, *_), last = known, known[-1]
    numbers = {str(number) for number in used}
    if str(first - 1) in numbers:
        from_, fact = first - 1, f"{first - 1}, but the {listed} begin at {first}"
    elif str(last + 1) in numbers and str(first) not in numbers:
        from_ = first + 1
        fact = f"{last + 1} and never {first}, but the {listed} count from {first} to {last}"
    else:
        return
    yield f"{users} have the {key} {fact}: if the {users} count from {from_}, every {name} is one off."


def first_of(content: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """The value of the first key that is there and not empty; None if none is."""
    return next((content[key] for key in keys if content.get(key)), None)
