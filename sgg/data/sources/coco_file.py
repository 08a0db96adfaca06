"""A COCO-style annotation file as a whole: what belongs to which image, and what is odd about it.

A file: {"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id", "category_id",
"bbox"}], "categories": [{"id", "name"}]}. Relations (`coco_relations`) are in it, or in rel.json beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data.fields import WrongForm, take
from sgg.data.sources.base import load_json
from sgg.data.sources.coco_relations import Relations, relations_beside, relations_of
from sgg.data.split_files import split_words
from sgg.data.vocab_file import names_by_id, one_off, shared_names
from sgg.errors import SggError

REL = "rel.json"
_FORM_ERRORS = (WrongForm, TypeError, LookupError, AttributeError)


class CocoFile:
    """One file, parsed when something of it is asked for."""

    def __init__(self, file: Path, split: str | None, key: str) -> None:
        self._file, self._split, self._key = file, split, key
        beside = [file.with_name(name) for name in (REL, f"{REL}.gz")]
        self._rel = next((rel for rel in beside if rel.is_file()), None)

    @property
    def files(self) -> list[Path]:
        """What is read."""
        return [self._file] if self._rel is None else [self._file, self._rel]

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = load_json(self._file, self._key)
        try:
            for name in ("images", "annotations", "categories"):
                for item in take(content, name, "the file")[:1]:
                    take(item, "id", f"{name}[0]")
        except _FORM_ERRORS as error:
            raise self._wrong(self._file, error) from error
        return dict(content)

    @property
    def images(self) -> list[Any]:
        """As they are written."""
        images: list[Any] = self._content["images"]
        return images

    @cached_property
    def classes(self) -> dict[str, str]:
        """Names by category id."""
        try:
            return names_by_id(self._content["categories"])
        except _FORM_ERRORS as error:
            raise self._wrong(self._file, error) from error

    @cached_property
    def annotations(self) -> dict[str, list[dict[str, Any]]]:
        """By image id, in the order of the file."""
        by_image: dict[str, list[dict[str, Any]]] = {}
        for place, item in enumerate(self._content["annotations"]):
            try:
                image_id = str(take(item, "image_id", f"annotations[{place}]"))
            except WrongForm as error:
                raise self._wrong(self._file, error) from error
            by_image.setdefault(image_id, []).append(item)
        return by_image

    @cached_property
    def relations(self) -> Relations:
        """Those of the file, else those of rel.json.

        Raises:
            SggError: there are none, or they have another form.

        """
        owners = {
            str(item["id"]): image_id
            for image_id, items in self.annotations.items()
            for item in items
            if "id" in item
        }
        file = self._file
        try:
            found = relations_of(self._content, owners)
            if self._rel is not None and (found is None or not found.count):
                file = self._rel
                stated = split_words(self._file)
                split = stated[0] if len(stated) == 1 else self._split
                found = relations_beside(load_json(file, self._key), split, self._content)
        except _FORM_ERRORS as error:
            raise self._wrong(file, error) from error
        if found is None:
            raise SggError(
                f"{self._key}: {self._file} states no relations. They belong into a list "
                f'"rel_annotations" of the file, or into {REL} beside it (docs/data.md).'
            )
        return found

    def remarks(self) -> Iterator[str]:
        """What is odd about the whole, in sentences."""
        for name, ids in shared_names(self.classes).items():
            yield f'{self._file.name}: category "{name}" has the ids {", ".join(ids)}; read as one class.'
        known = {str(image.get("id")) for image in self.images if isinstance(image, dict)}
        lost = sum(len(items) for i, items in self.annotations.items() if i not in known)
        if lost:
            yield f"{self._file.name}: {lost:,} annotations belong to no image of the file; left out."
        used = (a.get("category_id") for items in self.annotations.values() for a in items)
        remarks = (
            *one_off(used, self.classes, "annotations", "category_id", "categories", "class"),
            *self.relations.remarks(),
        )
        yield from (f"{self._file.name}: {remark}" for remark in remarks)

    def _wrong(self, file: Path, error: Exception) -> SggError:
        reason = str(error) if isinstance(error, WrongForm) else repr(error)
        return SggError(f"{self._key}: {file} is no COCO-style file with relations: {reason}.")
