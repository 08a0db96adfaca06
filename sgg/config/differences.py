"""What two configs, or any two trees of plain values, differ in: flat keys and both values."""

from __future__ import annotations

from typing import Any

from sgg.config.literal import plain


def differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """`a.b.c` -> (old, new) for every leaf that differs, in the order of the keys; None is what a side lacks.

    Args:
        old: a config or a part of one, as dataclasses or mappings.
        new: another one.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4})
    {'a.c': (2, 3), 'd': (None, 4)}

    """
    return _differences(plain(old), plain(new), "")


def _differences(old: Any, new: Any, key: str) -> dict[str, tuple[Any, Any]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {} if old == new else {key: (old, new)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in {**old, **new}:
        below = f"{key}.{name}" if key else str(name)
        found |= _differences(old.get(name), new.get(name), below)
    return found
