"""OpenPSG's psg.json: boxes xyxy, classes 0-based over things then stuff, relations [s, o, predicate]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.reader import file_identity, file_ref, find_file, id_at, load_json
from sgg.errors import SggError
from sgg.graph import Triplet


class PsgReader:
    """The train or test part of psg.json; test is what `test_image_ids` lists."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(self, root: Path, images: Path | None, split: str | None) -> None:
        self._file = find_file(root, ["psg.json", "psg*.json", "psg*.json.gz"], "data.root")
        content = load_json(self._file, "data.root")
        missing = {"data", "thing_classes", "stuff_classes", "predicate_classes"} - set(content)
        if missing:
            raise SggError(f"data.root: {self._file} has no {', '.join(sorted(missing))}.")
        self._classes = [*content["thing_classes"], *content["stuff_classes"]]
        self._predicates = content["predicate_classes"]
        self._images = images
        test = set(content.get("test_image_ids", ()))
        if split not in (None, "train", "test"):
            raise SggError(f"data split name {split}: psg.json has train and test.")
        self._rows = [
            row
            for row in content["data"]
            if split is None or (row["image_id"] in test) == (split == "test")
        ]

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
        except (KeyError, IndexError, TypeError, ValueError) as error:
            image_id = str(row.get("image_id", index))
            return RawExample.unreadable(image_id, error)

    def _example(self, row: dict[str, Any]) -> RawExample:
        names = [self._classes[a["category_id"]] for a in row["annotations"]]
        ids = [f"{name}.{i + 1}" for i, name in enumerate(names)]
        boxes = [tuple(map(float, a["bbox"])) for a in row["annotations"]]
        return RawExample(
            image_id=str(row["image_id"]),
            image_ref=file_ref(self._images, row["file_name"]),
            width=row["width"],
            height=row["height"],
            objects=tuple(map(RawObject, ids, names, boxes)),
            relations=tuple(
                RawRelation(id_at(ids, s), self._predicates[p], id_at(ids, o))
                for s, o, p in row["relations"]
            ),
        )
