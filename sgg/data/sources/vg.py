"""Visual Genome with the VG150 split, as the field hands it on.

Two layouts, told apart by the files in the folder: VG-SGG (VG-SGG-with-attri.h5, dicts, image_data.json;
Xu et al., arXiv 1701.02426) and the gold as one JSON file (`vg150*.json[.gz]`, SGG-Seq2Seq). Splits
follow the field: h5 split 0 is train + val (val = its first 5,000 images with boxes and relations),
split 2 is test. A gold file is one split: the one in its name (`vg150_test.json`), else any; it may be
named by the split's path. A list of zero-shot triplets beside them is read if there (JSON; pickles
are refused). Images lie in one folder, or in VG_100K and VG_100K_2 below it, as VG packs them.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sgg.data import written
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.fields import RELATION, parts, reason, take
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
from sgg.data.split_files import SPLITS, file_of_split, json_files
from sgg.data.vg_names import VgNames
from sgg.errors import SggError

BOX_SCALE = 1024
"""VG-SGG stores boxes as if the longer side of every image were this long, in pixels."""
VAL_IMAGES = 5000


def open_vg(
    root: Path, images: Path | None, split: str | None, path: str | None, key: str
) -> VgGoldReader | VgH5Reader:
    """The reader that fits the files in the folder; `path` names a gold file.

    Raises:
        SggError: neither layout is there, or the split is unknown.

    """
    split = split or "train"
    if split not in SPLITS:
        raise SggError(f"data split name {split}: VG has {', '.join(SPLITS)}.")
    if path is not None:
        return VgGoldReader(root, existing_file(root / path, key), images)
    gold = json_files(root, "vg150")
    if any(root.glob("*.h5")) or not gold:
        return VgH5Reader(root, images, split)
    return VgGoldReader(root, file_of_split(gold, split, key), images)


class _Images:
    """Where the image of an image id is."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._packed = sorted(folder.glob("VG_100K*")) if folder is not None else []

    def ref(self, image_id: str) -> str:
        """The reference of an image; of the first place that has it where there are several."""
        name = f"{image_id}.jpg"
        for folder in self._packed:
            if (folder / name).is_file():
                return file_ref(folder, name)
        return file_ref(self._folder, name)


class VgGoldReader:
    """The gold as one JSON file: size, objects [class0, box], relations [s, o, predicate0]."""

    remarks: tuple[str, ...] = ()

    def __init__(self, root: Path, file: Path, images: Path | None) -> None:
        self._names = VgNames(root)
        self.zero_shot = self._names.zero_shot
        self._file = file
        self._images = _Images(images)

    @cached_property
    def _rows(self) -> list[Any]:
        rows = load_json(self._file, "data.root")
        if not isinstance(rows, list):
            raise SggError(f"data.root: {self._file} is no gold file (a JSON array of images).")
        return rows

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the gold and the dicts."""
        return file_identity([self._file, *self._names.files])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        row = self._rows[index]
        try:
            width, height = take(row, "size", "the image")
            items = [
                parts(item, ("class", "box"), f"objects[{place}]")
                for place, item in enumerate(take(row, "objects", "the image"))
            ]
            names = [at(self._names.objects, c, "no_class", 1) for c, _ in items]
            boxes = [written.numbers(box) for _, box in items]
            listed = enumerate(take(row, "relations", "the image"))
            triples = [parts(item, RELATION, f"relations[{place}]") for place, item in listed]
            pairs = [(s, o, written.index(p) + 1) for s, o, p in triples]
            size = written.pixels(width), written.pixels(height)
            image_id = written.image_id(take(row, "image_id", "the image"))
            return _example(
                image_id, self._images.ref(image_id), size, names, boxes, pairs, self._names
            )
        except ROW_ERRORS as error:
            return unreadable(row, index, error, self._file.name)


class VgH5Reader:
    """One split of the VG-SGG layout."""

    remarks: tuple[str, ...] = ()

    def __init__(self, root: Path, images: Path | None, split: str) -> None:
        self._names = VgNames(root)
        self.zero_shot = self._names.zero_shot
        self._images = _Images(images)
        self._split = split
        self._h5_path = find_file(root, ["VG-SGG*.h5", "*.h5"], "data.root")
        self._data_path = find_file(root, ["image_data*.json", "image_data*.json.gz"], "data.root")

    @cached_property
    def _h5(self) -> dict[str, Any]:
        import h5py

        try:
            with h5py.File(self._h5_path, "r") as file:
                return {k: file[k][:] for k in _H5_KEYS}
        except (OSError, KeyError, TypeError) as error:
            raise SggError(
                f"data.root: {self._h5_path} has not the VG-SGG layout ({error})."
            ) from error

    @cached_property
    def _image_data(self) -> list[dict[str, Any]]:
        listed = load_json(self._data_path, "data.root")
        try:
            numbered = [(int(take(i, "image_id", f"[{n}]")), i) for n, i in enumerate(listed)]
            image_data = [info for number, info in numbered if number not in _BROKEN]
        except ROW_ERRORS as error:
            raise SggError(
                f"data.root: {self._data_path} is no list of images with image_id: {reason(error)}."
            ) from error
        count = len(self._h5["split"])
        if len(image_data) != count:
            raise SggError(
                f"data.root: {self._data_path.name} lists {len(image_data)} images, "
                f"{self._h5_path.name} {count}; they do not belong together."
            )
        return image_data

    @cached_property
    def _rows(self) -> list[int]:
        assert self._image_data, "image_data and h5 are compared before anything else"
        h5 = self._h5
        usable = (h5["img_to_first_box"] >= 0) & (h5["img_to_first_rel"] >= 0)
        if self._split == "test":
            return np.flatnonzero((h5["split"] == 2) & usable).tolist()
        trainval: list[int] = np.flatnonzero((h5["split"] == 0) & usable).tolist()
        return trainval[:VAL_IMAGES] if self._split == "val" else trainval[VAL_IMAGES:]

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the four files."""
        return file_identity([self._h5_path, self._data_path, *self._names.files])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        row = self._rows[index]
        info = self._image_data[row]
        try:
            return self._example(row, info)
        except ROW_ERRORS as error:
            return unreadable(info, index, error, self._data_path.name)

    def _example(self, row: int, info: dict[str, Any]) -> RawExample:
        h5, image_id = self._h5, str(info["image_id"])
        width, height = (written.pixels(take(info, k, "the image")) for k in ("width", "height"))
        first, last = h5["img_to_first_box"][row], h5["img_to_last_box"][row]
        centres = h5["boxes_1024"][first : last + 1].astype(np.float64)
        corners = np.concatenate(
            [centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1
        )
        boxes = [(tuple(b), "") for b in (corners * (max(width, height) / BOX_SCALE)).tolist()]
        labels = h5["labels"][first : last + 1, 0]
        names = [at(self._names.objects, int(label), "no_class") for label in labels]
        rel = slice(h5["img_to_first_rel"][row], h5["img_to_last_rel"][row] + 1)
        ends = h5["relationships"][rel] - first
        pairs = [
            (int(s), int(o), int(p))
            for (s, o), p in zip(ends, h5["predicates"][rel, 0], strict=True)
        ]
        size = width, height
        return _example(
            image_id, self._images.ref(image_id), size, names, boxes, pairs, self._names
        )


_H5_KEYS = (
    "split",
    "img_to_first_box",
    "img_to_last_box",
    "img_to_first_rel",
    "img_to_last_rel",
    "boxes_1024",
    "labels",
    "relationships",
    "predicates",
)
_BROKEN = {1592, 1722, 4616, 4617}
"""Images whose files are corrupt upstream; every loader of the field leaves them out."""


def _example(
    image_id: str,
    image_ref: str,
    size: tuple[int, int],
    names: list[tuple[str, str]],
    boxes: list[tuple[tuple[float, ...], str]],
    pairs: list[tuple[int, int, int]],
    vocabulary: VgNames,
) -> RawExample:
    """A raw example from parallel lists.

    `names` holds (name, what is wrong with it), `boxes` (numbers, what is odd about them), `pairs`
    (subject, object, 1-based predicate).
    """
    ids = [f"{name}.{i + 1}" for i, (name, _) in enumerate(names)]
    return RawExample(
        image_id=image_id,
        image_ref=image_ref,
        width=size[0],
        height=size[1],
        objects=tuple(
            RawObject(i, name, box, problem, odd)
            for i, (name, problem), (box, odd) in zip(ids, names, boxes, strict=True)
        ),
        relations=tuple(
            RawRelation(id_at(ids, s), name, id_at(ids, o), problem)
            for s, o, p in pairs
            for name, problem in [at(vocabulary.predicates, p, "no_predicate")]
        ),
    )


def _open(split: Split) -> VgGoldReader | VgH5Reader:
    return open_vg(split.root(), split.images(), split.config.name, split.config.path, split.key)


SOURCE = DataSource(
    _open,
    form='[{"image_id", "size": [width, height], "objects": [[class, box]], '
    '"relations": [[subject, object, predicate]]}], or VG-SGG\'s h5 with image_data.json',
)
