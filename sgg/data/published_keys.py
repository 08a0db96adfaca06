"""Reports misnamed keys in JSON annotations, with the expected name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgg.data.fields import lookalike, take


def check_line(row: Any) -> None:
    """Raise `WrongForm` where a line of annotations lacks a key.

    Raises:
        WrongForm: with the key, and the one that looks like it.

    """
    if isinstance(row, Mapping):
        for key in ("image", "objects", "relationships"):
            take(row, key, "the line")
        check_items(row["objects"], row["relationships"])


def check_items(objects: Any, relationships: Any) -> None:
    """Raise `WrongForm` where an object or a relation lacks a key; a box may be missing.

    Raises:
        WrongForm: with the key, and the one that looks like it.

    """
    for place, item in enumerate(objects if isinstance(objects, list) else ()):
        if isinstance(item, Mapping):
            take(item, "id", f"objects[{place}]")
            if "bbox" not in item and lookalike("bbox", item):
                take(item, "bbox", f"objects[{place}]")
    for place, item in enumerate(relationships if isinstance(relationships, list) else ()):
        if isinstance(item, Mapping):
            for key in ("subject", "predicate", "object"):
                take(item, key, f"relationships[{place}]")
