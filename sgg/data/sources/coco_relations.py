"""Relations of a COCO-style file: where files put them, and what their ends and predicates mean.

Two forms. An object in a list of the file, {"subject_id", "object_id", "predicate"} (`KEYS` has the other
names), gives its ends by the annotations' ids; its image is its own "image_id", or its ends'. A triple
[subject, object, predicate] counts the annotations of its image from 0, crowds left out, as RelTR, EGTR and
OpenPSG do; it is in the image's own list or in rel.json: {"train": {IMAGE_ID: [triple]},
"rel_categories": [name]}. A predicate is a name, or a number that a list of predicates names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sgg.data.fields import WrongForm, instead, take
from sgg.data.split_files import stated
from sgg.data.vocab_file import PREDICATES, first_of, is_name, names_by_id, one_off, shared_names

LISTS = ("rel_annotations", "relationships", "relations", "relation_annotations")
"""Keys of a list of relations, in a file or in one of its images."""
KEYS = {
    "subject_id": ("subject_id", "subject", "sub_id", "subj_id", "sub", "subj"),
    "object_id": ("object_id", "object", "obj_id", "obj"),
    "predicate": (
        "predicate",
        "predicate_name",
        "predicate_id",
        "relation",
        "rel_category_id",
        "relation_category_id",
        "category_id",
        "name",
    ),
}
"""What files call the parts of a relation, the likeliest first."""


class Link(NamedTuple):
    """A relation as it is written."""

    subject: Any
    object: Any
    predicate: Any
    is_counted: bool
    """Whether the ends count the image's annotations, instead of naming them by id."""


@dataclass
class Relations:
    """The relations of a file."""

    predicates: dict[str, str]
    """Names by number; empty where relations name them."""
    by_image: dict[str, list[Link]] = field(default_factory=dict)
    strays: list[Link] = field(default_factory=list)
    """Those that belong to no image of the file."""

    def named(self, written: Any) -> tuple[str, str]:
        """The name of a predicate and "", or what is written and the kind of what is wrong with it."""
        if isinstance(written, Mapping):
            written = written.get("name", written.get("id"))
        name = None if isinstance(written, bool) else self.predicates.get(str(written))
        if name is None and is_name(written):
            name = written
        return (name, "") if name else (f"predicate {written}", "no_predicate")

    def remarks(self) -> Iterator[str]:
        """What is odd about the whole, in sentences."""
        for name, numbers in shared_names(self.predicates).items():
            yield f'predicate "{name}" has the numbers {", ".join(numbers)}; read as one.'
        if self.strays:
            yield (
                f"{len(self.strays):,} relations belong to no image of the file; they are counted as "
                "dangling at its first."
            )
        used = (link.predicate for link in self._links())
        yield from one_off(used, self.predicates, "relations", "predicate", "names", "predicate")

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.by_image.values())) + len(self.strays)

    def _links(self) -> Iterator[Link]:
        for links in self.by_image.values():
            yield from links
        yield from self.strays


def relations_of(content: Mapping[str, Any], owners: Mapping[str, str]) -> Relations | None:
    """The relations that an annotation file holds; None if it has no list of them.

    Args:
        content: the file.
        owners: image id by annotation id.

    Raises:
        WrongForm, TypeError, LookupError: they have another form.

    """
    found, known = Relations(_names(content)), _image_ids(content)
    lists = [key for key in LISTS if isinstance(content.get(key), list) and content[key]]
    images = [image for image in content["images"] if isinstance(image, Mapping)]
    own = [image for image in images if any(key in image for key in LISTS)]
    if len(lists) > 1 or (lists and any(i.get(key) for i in own for key in LISTS)):
        places = [*lists, *(["its images"] if own else [])]
        raise WrongForm(f"it has relations in {' and in '.join(places)}; leave one of them")
    for key in lists:
        for place, item in enumerate(content[key]):
            link = _link(item, f"{key}[{place}]", strict=place == 0)
            ends = (
                item.get("image_id"),
                owners.get(str(link.subject)),
                owners.get(str(link.object)),
            )
            image_id = next((str(i) for i in ends if i is not None), None)
            if image_id in known:
                found.by_image.setdefault(image_id, []).append(link)
            else:
                found.strays.append(link)
    for image in own:
        found.by_image[str(image.get("id"))] = list(_of_image(first_of(image, LISTS) or ()))
    if not lists and not own and not any(key in content for key in LISTS):
        return None
    return _checked(found)


def relations_beside(
    rel: Mapping[str, Any], split: str | None, content: Mapping[str, Any]
) -> Relations:
    """The relations that rel.json holds about an annotation file.

    Raises:
        WrongForm, TypeError, LookupError: it has no such split, other images or another form.

    """
    if not isinstance(rel, Mapping):
        raise WrongForm("it is no JSON object")
    splits = {key: value for key, value in rel.items() if isinstance(value, Mapping)}
    key = next((k for k in splits if split and stated(k) == (split,)), None)
    if key is None:
        raise WrongForm(f"it has no split {split}; it has {', '.join(splits) or 'none'}")
    images = _image_ids(content)
    found = Relations(_names(rel) or _names(content))
    for image_id, triples in rel[key].items():
        if str(image_id) in images:
            found.by_image[str(image_id)] = list(_of_image(triples))
    if images and rel[key] and not found.by_image:
        raise WrongForm(f"no image of its split {key} is in the annotation file")
    return _checked(found)


def _image_ids(content: Mapping[str, Any]) -> set[str]:
    return {str(i["id"]) for i in content["images"] if isinstance(i, Mapping) and "id" in i}


def _names(content: Mapping[str, Any]) -> dict[str, str]:
    return names_by_id(first_of(content, PREDICATES) or ())


def _checked(found: Relations) -> Relations:
    if not found.predicates:
        for link in found._links():
            if isinstance(link.predicate, int):
                raise WrongForm(
                    f"relations name predicates by number, such as {link.predicate}, but there is no list "
                    f"of names: add {PREDICATES[0]}"
                )
    return found


def _of_image(items: Iterable[Any]) -> Iterator[Link]:
    """The relations in an image's own list."""
    for place, item in enumerate(items):
        if isinstance(item, Mapping):
            yield _link(item, f"relation {place} of an image", strict=False)
        elif isinstance(item, list) and len(item) == 3:
            yield Link(item[0], item[1], item[2], is_counted=True)
        else:
            yield Link(None, None, item, is_counted=True)


def _link(item: Any, where: str, strict: bool) -> Link:
    """A relation that names its ends; with `strict` one that lacks a part is an error.

    Raises:
        WrongForm: it is no JSON object, or lacks a part.

    """
    if not isinstance(item, Mapping):
        if strict:
            take(item, "subject_id", where)
        return Link(None, None, item, is_counted=False)
    parts = []
    for part, keys in KEYS.items():
        key = next((key for key in keys if key in item), None)
        if key is None and strict:
            raise WrongForm(f'{where} has no "{part}"{instead(part, item)}')
        parts.append(None if key is None else item[key])
    subject, obj, predicate = parts
    return Link(subject, obj, predicate, is_counted=False)
