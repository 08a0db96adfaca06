"""Keys of strangers' JSON objects: one that is missing is reported with the key that looks like it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sgg.data.written import numbers

MEANT = {
    "image": ("file_name", "filename", "image_path", "image_file", "path", "img"),
    "file_name": ("image", "filename", "image_path", "path", "img"),
    "image_id": ("id", "img_id"),
    "objects": ("annotations", "nodes", "instances", "boxes", "entities"),
    "annotations": ("objects", "instances"),
    "relationships": ("relations", "rels", "edges", "triplets", "triples", "rel_annotations"),
    "relations": ("relationships", "rels", "edges", "triplets", "triples"),
    "id": ("label", "class", "category", "object_id", "obj_id", "class_name", "name"),
    "name": ("label", "class", "category", "class_name", "category_name", "names"),
    "bbox": ("box", "bounding_box", "boundingbox", "bndbox", "xyxy", "xywh", "coordinates"),
    "category_id": ("category", "class_id", "label", "class"),
    "subject": ("subject_id", "sub", "subj", "sub_id", "head", "from", "source"),
    "object": ("object_id", "obj", "obj_id", "tail", "to", "target"),
    "predicate": (
        "relation",
        "relationship",
        "rel",
        "predicate_name",
        "predicate_id",
        "label",
        "name",
    ),
    "width": ("w", "image_width", "img_w"),
    "height": ("h", "image_height", "img_h"),
    "size": ("image_size", "img_size"),
    "x": ("x1", "xmin", "x_min", "left"),
    "y": ("y1", "ymin", "y_min", "top"),
    "w": ("width",),
    "h": ("height",),
    "category": ("category_id", "class", "class_id", "label"),
    "data": ("images", "annotations"),
    "thing_classes": ("things", "classes", "categories"),
    "stuff_classes": ("stuff",),
    "predicate_classes": ("predicates", "relation_classes"),
    "idx_to_label": ("idx_to_object", "objects", "classes", "labels"),
    "idx_to_predicate": ("predicates", "relations"),
}
"""Names that other tools give to what a key holds, the likeliest first."""

RELATION = ("subject", "object", "predicate")
"""Parts of a relation that is a list."""

_ALIKE = 0.7
"""How alike two names must be for one to be a slip of the other: difflib's ratio."""


class WrongForm(ValueError):
    """A row has not the source's form; the message is a sentence that says where."""


def take(item: Any, key: str, where: str) -> Any:
    """The value of a key.

    Args:
        where: what the item is, for the message: objects[3].

    Raises:
        WrongForm: the item is no JSON object or has no such key; with the key that looks like it.

    """
    if not isinstance(item, Mapping):
        raise WrongForm(f"{where} is {_kind(item)}, not a JSON object")
    if key in item:
        return item[key]
    raise WrongForm(f'{where} has no "{key}"{instead(key, item)}')


def parts(item: Any, names: Sequence[str], where: str) -> Sequence[Any]:
    """An item that is a list of as many parts as it has names, such as a relation.

    Raises:
        WrongForm: it is none.

    """
    if not isinstance(item, list | tuple) or len(item) != len(names):
        raise WrongForm(f"{where} is not [{', '.join(names)}]: {item}")
    return item


def reason(error: Exception) -> str:
    """What is wrong with a form: the sentence of a `WrongForm`, or type and message of another error."""
    return str(error) if isinstance(error, WrongForm) else f"{type(error).__name__}: {error}"


def box_of(item: Any, where: str) -> tuple[tuple[float, ...], str]:
    """The numbers of an object's "bbox" and the kind of what is odd about them; none where it has no box.

    Raises:
        WrongForm: another key looks like the box.

    """
    if "bbox" not in item and lookalike("bbox", item):
        take(item, "bbox", where)
    return numbers(item.get("bbox"))


def instead(key: str, found: Iterable[Any]) -> str:
    """What to do where a key is missing among those that are there: rename the one that looks like it."""
    names = [name for name in found if isinstance(name, str)]
    alike = lookalike(key, names)
    if alike:
        return f'; rename its "{alike}" to "{key}"'
    listed = ", ".join(names[:8])
    return f"; it has {listed}" if listed else ""


def lookalike(key: str, names: Iterable[str]) -> str:
    """The name that most likely holds what the key should; empty if none does."""
    by_lower = {name.lower(): name for name in reversed(list(names))}
    for other in MEANT.get(key, ()):
        if other in by_lower:
            return by_lower[other]
    strange = [name for name in by_lower if name not in MEANT]
    close = difflib.get_close_matches(key, strange, n=1, cutoff=_ALIKE)
    return by_lower[close[0]] if close else ""


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", int: "a number", float: "a number", type(None): "null"}
    return kinds.get(type(value), f"a {type(value).__name__}")
