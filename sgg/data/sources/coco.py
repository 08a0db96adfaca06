"""COCO-style annotations with relations: one JSON file per split (`coco_file`).

Boxes are as `data.box_format` says, COCO's own being x, y, width, height. Crowds (`iscrowd`) are no objects;
segmentations are not read. Images lie below `data.image_folder`, else below `data.root`, its folder images or
the annotation file's folder, or below a folder of these that is named after the split (train2017).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from sgg.data import written
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.fields import box_of, take
from sgg.data.images import look
from sgg.data.row_images import Places, shortest_names
from sgg.data.sources.base import ROW_ERRORS, existing_file, file_identity, id_at, unreadable
from sgg.data.sources.coco_file import REL, CocoFile
from sgg.data.sources.coco_relations import Link
from sgg.data.sources.source import DataSource, Split
from sgg.data.split_files import file_of_split, json_files, split_words
from sgg.errors import SggError
from sgg.scene.graph import Triplet


class CocoReader:
    """One split."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(
        self, root: Path, images: Path | None, split: str | None, path: str | None, key: str
    ) -> None:
        """Without `path`, of the file whose name or folder states the split; without `images`, gold only."""
        file = existing_file(root / path, key) if path else _file_of(root, split or "train", key)
        self._coco = CocoFile(file, split, key)
        self._folders = [] if images is None else _folders(root, images, file, split)
        self._images = None if images == root.resolve() else images

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about the file as a whole."""
        return tuple(self._coco.remarks())

    def __len__(self) -> int:
        # of the whole file, so before processes that read its images are forked
        assert self._coco.relations is not None
        assert self._places is None or self._places.others
        return len(self._coco.images)

    def identity(self) -> str:
        """Digest of the annotation file and rel.json."""
        return file_identity(self._coco.files)

    @cached_property
    def _places(self) -> Places | None:
        if not self._folders:
            return None
        names = [
            str(i["file_name"])
            for i in self._coco.images
            if isinstance(i, dict) and "file_name" in i
        ]
        return Places(self._images, tuple(self._folders), shortest_names(names))

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        image = self._coco.images[index]
        try:
            strays = self._coco.relations.strays if index == 0 else []
            return self._example(image, f"images[{index}]", strays)
        except ROW_ERRORS as error:
            row = {"image_id": image["id"]} if isinstance(image, dict) and "id" in image else None
            return unreadable(row, index, error)

    def _example(self, image: dict[str, Any], where: str, strays: list[Link]) -> RawExample:
        image_id = written.image_id(take(image, "id", where))
        objects = tuple(
            self._object(item, place)
            for place, item in enumerate(self._coco.annotations.get(image_id, ()))
        )
        ids = [item.id for item in objects if item.problem != "crowd"]
        links = [*self._coco.relations.by_image.get(image_id, ()), *strays]
        ref, problem, looked = self._image(str(take(image, "file_name", where)))
        width, height = image.get("width"), image.get("height")
        if (width is None or height is None) and ref:
            (width, height), problem = look(Path(ref.removeprefix("file:")), decode=False)
        return RawExample(
            image_id,
            ref,
            written.pixels(width or 0),
            written.pixels(height or 0),
            objects,
            tuple(self._relation(link, ids) for link in links),
            image_problem=problem,
            looked_for=looked,
        )

    def _object(self, item: dict[str, Any], place: int) -> RawObject:
        where = f"annotations[{place}] of the image"
        box, odd = box_of(item, where)
        written_id, category = str(item.get("id", f"#{place}")), take(item, "category_id", where)
        name = None if isinstance(category, bool) else self._coco.classes.get(str(category))
        if item.get("iscrowd"):
            return RawObject(written_id, name or "", box, "crowd")
        if name is None:
            return RawObject(written_id, f"category_id {category}", box, "no_class")
        return RawObject(written_id, name, box, odd=odd)

    def _relation(self, link: Link, ids: list[str]) -> RawRelation:
        ends = []
        for end in (link.subject, link.object):
            is_place = isinstance(end, int) and not isinstance(end, bool)
            ends.append(
                (id_at(ids, end) if is_place else "missing") if link.is_counted else str(end)
            )
        name, problem = self._coco.relations.named(link.predicate)
        return RawRelation(ends[0], name, ends[1], problem)

    def _image(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Reference, problem, and where a missing file was looked for."""
        if self._places is None:
            return "", "", ()
        found = self._places.find(name)
        if found.file is None:
            return "", "no_image", found.looked
        return f"file:{found.file}", "", ()


def _file_of(root: Path, split: str, key: str) -> Path:
    """The annotation file of a split, in the folder, else in its subfolders (annotations, train, valid)."""
    for folders in ([root], sorted(f for f in root.iterdir() if f.is_dir())):
        files = [file for folder in folders for file in json_files(folder, "")]
        files = [file for file in files if not file.name.startswith(REL)]
        if files:
            return file_of_split(files, split, key, below=root)
    raise SggError(
        f"{key}: data.root={root} holds no JSON file. Name the annotation file by {key}."
    )


def _folders(root: Path, images: Path, file: Path, split: str | None) -> list[Path]:
    """Where images may lie, the likeliest first; all of them are folders."""
    plain = dict.fromkeys([images, root, root / "images", file.parent])
    of_split = [
        folder
        for parent in plain
        if parent.is_dir()
        for folder in sorted(parent.iterdir())
        if split and split in split_words(folder) and folder.is_dir()
    ]
    return [folder for folder in dict.fromkeys([*plain, *of_split]) if folder.is_dir()]


def _open(split: Split) -> CocoReader:
    return CocoReader(split.root(), split.images(), split.config.name, split.config.path, split.key)


def _place(split: Split) -> str:
    """Images may lie beside the annotations, too."""
    return f"{split.images()} {split.root().resolve()}"


SOURCE = DataSource(
    _open,
    form='{"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "category_id", '
    '"bbox"}], "categories": [{"id", "name"}]} with "rel_annotations"',
    place=_place,
    reads_box_format=True,
)
