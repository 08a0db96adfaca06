"""Visual Genome with the VG150 split, as the field hands it on.

Two layouts, told apart by the files in the folder: VG-SGG (VG-SGG-with-attri.h5, dicts, image_data.json;
Xu et al., arXiv 1701.02426) and the gold as one JSON file (`vg150*.json[.gz]`, SGG-Seq2Seq). Splits
follow the field: h5 split 0 is train + val (val = its first 5,000 images with boxes and relations),
split 2 is test. A list of zero-shot triplets beside them is read if there (JSON; pickles are refused).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.reader import file_identity, file_ref, find_file, id_at, load_json
from sgg.errors import SggError
from sgg.graph import Triplet
from sgg.vocab import canonical

BOX_SCALE = 1024
"""VG-SGG stores boxes as if the longer side of every image were this long, in pixels."""
VAL_IMAGES = 5000
_DICTS = ["VG-SGG-dicts*.json"]
_ZERO_SHOT = ["zeroshot_triplets*.json"]


def open_vg(root: Path, images: Path | None, split: str | None) -> VgGoldReader | VgH5Reader:
    """The reader that fits the files in the folder.

    Raises:
        SggError: neither layout is there, or the split is unknown.

    """
    gold = sorted([*root.glob("vg150*.json"), *root.glob("vg150*.json.gz")])
    if any(root.glob("*.h5")) or not gold:
        return VgH5Reader(root, images, split or "train")
    return VgGoldReader(root, gold[0], images)


class _Names:
    """Class and predicate names by the dicts' 1-based ids, and the zero-shot list in names."""

    def __init__(self, root: Path) -> None:
        self.file = find_file(root, _DICTS, "data.root")
        dicts = load_json(self.file, "data.root")
        self.objects: dict[int, str] = {int(i): n for i, n in dicts["idx_to_label"].items()}
        self.predicates: dict[int, str] = {int(i): n for i, n in dicts["idx_to_predicate"].items()}
        listed = [p for pattern in _ZERO_SHOT for p in sorted(root.glob(pattern))]
        rows = load_json(listed[0], "data.root") if listed else []
        self.files = [self.file, *listed[:1]]
        self.zero_shot: frozenset[Triplet] = frozenset(
            (
                canonical(self.objects[s]),
                canonical(self.predicates[p]),
                canonical(self.objects[o]),
            )
            for s, o, p in rows
        )


class VgGoldReader:
    """The gold as one JSON file: size, objects [class0, box], relations [s, o, predicate0]."""

    def __init__(self, root: Path, file: Path, images: Path | None) -> None:
        self._names = _Names(root)
        self.zero_shot = self._names.zero_shot
        self._file = file
        self._images = images
        self._rows: list[dict[str, Any]] = load_json(file, "data.root")

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the gold and the dicts."""
        return file_identity([self._file, *self._names.files])

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        row = self._rows[index]
        try:
            width, height = row["size"]
            names = [self._names.objects[c + 1] for c, _ in row["objects"]]
            boxes = [tuple(map(float, box)) for _, box in row["objects"]]
            pairs = [(s, o, p + 1) for s, o, p in row["relations"]]
            return _example(
                row["image_id"], self._images, (width, height), names, boxes, pairs, self._names
            )
        except (KeyError, TypeError, ValueError) as error:
            image_id = str(row.get("image_id", index))
            return RawExample.unreadable(image_id, error)


class VgH5Reader:
    """One split of the VG-SGG layout."""

    def __init__(self, root: Path, images: Path | None, split: str) -> None:
        import h5py

        self._names = _Names(root)
        self.zero_shot = self._names.zero_shot
        self._images = images
        h5_path = find_file(root, ["VG-SGG*.h5", "*.h5"], "data.root")
        data_path = find_file(root, ["image_data*.json", "image_data*.json.gz"], "data.root")
        self._files = [h5_path, data_path, *self._names.files]
        with h5py.File(h5_path, "r") as file:
            self._h5 = {k: file[k][:] for k in _H5_KEYS}
        image_data = [i for i in load_json(data_path, "data.root") if i["image_id"] not in _BROKEN]
        if len(image_data) != len(self._h5["split"]):
            raise SggError(
                f"data.root: {data_path.name} lists {len(image_data)} images, {h5_path.name} "
                f"{len(self._h5['split'])}; they do not belong together."
            )
        self._image_data = image_data
        self._rows = self._rows_of(split)

    def _rows_of(self, split: str) -> list[int]:
        h5 = self._h5
        usable = (h5["img_to_first_box"] >= 0) & (h5["img_to_first_rel"] >= 0)
        if split == "test":
            return np.flatnonzero((h5["split"] == 2) & usable).tolist()
        trainval: list[int] = np.flatnonzero((h5["split"] == 0) & usable).tolist()
        if split == "val":
            return trainval[:VAL_IMAGES]
        if split == "train":
            return trainval[VAL_IMAGES:]
        raise SggError(f"data split name {split}: VG-SGG has train, val and test.")

    def __len__(self) -> int:
        return len(self._rows)

    def identity(self) -> str:
        """Digest of the four files."""
        return file_identity(self._files)

    def read(self, index: int) -> RawExample:
        """One image; see `Reader.read`."""
        h5, row = self._h5, self._rows[index]
        info = self._image_data[row]
        width, height = info["width"], info["height"]
        first, last = h5["img_to_first_box"][row], h5["img_to_last_box"][row]
        centres = h5["boxes_1024"][first : last + 1].astype(np.float64)
        corners = np.concatenate(
            [centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1
        )
        boxes = [tuple(b) for b in (corners * (max(width, height) / BOX_SCALE)).tolist()]
        names = [self._names.objects[int(i)] for i in h5["labels"][first : last + 1, 0]]
        rel = slice(h5["img_to_first_rel"][row], h5["img_to_last_rel"][row] + 1)
        ends = h5["relationships"][rel] - first
        pairs = [
            (int(s), int(o), int(p))
            for (s, o), p in zip(ends, h5["predicates"][rel, 0], strict=True)
        ]
        return _example(
            str(info["image_id"]), self._images, (width, height), names, boxes, pairs, self._names
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
    images: Path | None,
    size: tuple[int, int],
    names: list[str],
    boxes: list[tuple[float, ...]],
    pairs: list[tuple[int, int, int]],
    vocabulary: _Names,
) -> RawExample:
    """A raw example from parallel lists; `pairs` holds (subject, object, 1-based predicate)."""
    ids = [f"{name}.{i + 1}" for i, name in enumerate(names)]

    return RawExample(
        image_id=image_id,
        image_ref=file_ref(images, f"{image_id}.jpg"),
        width=size[0],
        height=size[1],
        objects=tuple(map(RawObject, ids, names, boxes)),
        relations=tuple(
            RawRelation(id_at(ids, s), vocabulary.predicates[p], id_at(ids, o)) for s, o, p in pairs
        ),
    )
