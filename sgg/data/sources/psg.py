"""OpenPSG's psg.json: boxes xyxy, classes 0-based over things then stuff, relations [s, o, predicate].

Splits: `test_image_ids` lists the images of the second split that a file holds. Of psg.json these are
train and test; a file whose name states two splits holds those (psg_train_val.json: the list is val,
psg_val_test.json: the list is test). A file whose images are all listed, or none, is one split: the one in
its name. Where a folder has several files, the name decides; psg.json holds all and comes first.
"""

from __future__ import annotations

from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.fields import RELATION, WrongForm, box_of, parts, take
from sgg.data.packed import DAMAGED, open_unpacked
from sgg.data.sources.base import (
    ROW_ERRORS,
    at,
    existing_file,
    file_identity,
    file_ref,
    find_file,
    id_at,
    load_json,
    unreadable,
)
from sgg.data.sources.source import DataSource, Split
from sgg.data.split_files import SPLITS, file_of_split, json_files, several, split_words
from sgg.data.written import image_id, pixels
from sgg.errors import SggError
from sgg.scene.graph import Triplet

_FORM = (
    '"data": [{"image_id", "file_name", "width", "height", "annotations": [{"bbox", '
    '"category_id"}], "relations": [[subject, object, predicate]]}], "thing_classes", '
    '"stuff_classes" and "predicate_classes"'
)


class PsgReader:
    """One split."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(
        self, root: Path, images: Path | None, split: str | None, path: str | None, key: str
    ) -> None:
        if split is not None and split not in SPLITS:
            raise SggError(f"data split name {split}: PSG has {', '.join(SPLITS)}.")
        self._file = _file_of(root, split, key) if path is None else existing_file(root / path, key)
        self._images = images
        self._split = split
        self._key = key
        self._stated = split_words(self._file)
        self._is_chosen = path is not None or bool(self._stated)

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = load_json(self._file, "data.root")
        try:
            for wanted in ("data", "thing_classes", "stuff_classes", "predicate_classes"):
                take(content, wanted, "the file")
        except WrongForm as error:
            raise SggError(
                f"data.root: {self._file} is not in OpenPSG's form: {error}. Needed are {_FORM}."
            ) from error
        return dict(content)

    @cached_property
    def _classes(self) -> list[Any]:
        return [*self._content["thing_classes"], *self._content["stuff_classes"]]

    @cached_property
    def _rows(self) -> list[Any]:
        rows: list[Any] = self._content["data"]
        listed_ids = {str(i) for i in self._content.get("test_image_ids", ())}
        listed = [r for r in rows if _id(r) in listed_ids]
        others = [r for r in rows if _id(r) not in listed_ids]
        is_one_split = not listed or not others or self._stated == ("val",)
        if self._split is None or (self._is_chosen and is_one_split):
            return rows
        first, second = self._stated if len(self._stated) == 2 else ("train", "test")
        if self._split not in (first, second):
            raise SggError(
                f"data split name {self._split}: {self._file.name} has {first} and {second}. Choose one "
                f"by {self._key.replace('.path', '.name')}, or null for all its images."
            )
        return others if self._split == first else listed

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the split is empty, if it is."""
        if self._rows or not self._content["data"]:
            return ()
        which = "none" if self._split == "test" else "each"
        return (
            f"{self._file.name}: {which} of its images is listed in test_image_ids, so that split "
            f"{self._split} is empty. Name another file by {self._key}.",
        )

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the file."""
        return file_identity([self._file])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        row = self._rows[index]
        try:
            return self._example(row)
        except ROW_ERRORS as error:
            return unreadable(row, index, error, self._file.name)

    def _example(self, row: dict[str, Any]) -> RawExample:
        annotations, related = (take(row, k, "the image") for k in ("annotations", "relations"))
        places = [(a, f"annotations[{place}]") for place, a in enumerate(annotations)]
        names = [
            at(self._classes, take(a, "category_id", place), "no_class") for a, place in places
        ]
        predicates = self._content["predicate_classes"]
        ids = [f"{name}.{i + 1}" for i, (name, _) in enumerate(names)]
        boxes = [box_of(a, place) for a, place in places]
        triples = [
            parts(item, RELATION, f"relations[{place}]") for place, item in enumerate(related)
        ]
        return RawExample(
            image_id=image_id(take(row, "image_id", "the image")),
            image_ref=file_ref(self._images, take(row, "file_name", "the image")),
            width=pixels(take(row, "width", "the image")),
            height=pixels(take(row, "height", "the image")),
            objects=tuple(
                RawObject(i, name, box, problem, odd)
                for i, (name, problem), (box, odd) in zip(ids, names, boxes, strict=True)
            ),
            relations=tuple(
                RawRelation(id_at(ids, s), name, id_at(ids, o), problem)
                for s, o, p in triples
                for name, problem in [at(predicates, p, "no_predicate")]
            ),
        )


def _file_of(root: Path, split: str | None, key: str) -> Path:
    """psg.json, or the file of the split; JSON that is no object is no annotation file."""
    files = json_files(root, "psg")
    complete = [f for f in files if f.name in ("psg.json", "psg.json.gz")]
    if complete:
        return complete[0]
    found = [f for f in files if _is_object(f)] or [
        find_file(root, ["psg*.json", "psg*.json.gz"], "data.root")
    ]
    if len(found) == 1 and not (split_words(found[0]) and split):
        return found[0]
    if split is None:
        raise several(found, "it", key)
    return file_of_split(found, split, key, shared=True)


def _is_object(file: Path) -> bool:
    """Whether the file begins as a JSON object does."""
    try:
        with TextIOWrapper(open_unpacked(file), encoding="utf-8-sig") as text:
            return text.read(_BEGINNING).lstrip().startswith("{")
    except (OSError, UnicodeDecodeError, *DAMAGED):
        return False


_BEGINNING = 4096
"""Characters that are looked at."""


def _id(row: Any) -> str:
    return str(row.get("image_id")) if isinstance(row, dict) else ""


def _open(split: Split) -> PsgReader:
    return PsgReader(split.root(), split.images(), split.config.name, split.config.path, split.key)


SOURCE = DataSource(_open, form=_FORM)
