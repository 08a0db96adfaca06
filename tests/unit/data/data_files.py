"""Small data sets that the tests of `sgg.data` write themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from sgg.config.data import DataConfig, Source, SplitConfig
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.prepare import prepare
from sgg.data.prepared_split import Prepared
from sgg.scene.graph import SceneGraph


def config(source: str, root: Path | None = None, split: dict[str, Any] | None = None, **values):
    """A `DataConfig` whose eval split is `split`; cleaning in this process."""
    values = {"workers": 1, "root": None if root is None else str(root), **values}
    return DataConfig(source=Source[source], eval=SplitConfig(**(split or {})), **values)


def jsonl_config(root: Path, **values):
    return config("jsonl", root, {"path": "annotations.jsonl"}, **values)


def prepared(data: DataConfig, folder: Path) -> Prepared:
    """The eval split, cached below `folder`."""
    return prepare(data, "eval", folder / "cache", quiet=True)


def triplets(graph: SceneGraph) -> list[tuple[str, str, str]]:
    return [graph.triplet(edge) for edge in graph.edges]


def raw(objects=(), relations=(), size=(100, 80), image_id="a", **values) -> RawExample:
    """A raw example from (id, name, box) and (subject, predicate, object)."""
    return RawExample(
        image_id,
        "",
        *size,
        tuple(RawObject(*o) for o in objects),
        tuple(RawRelation(*r) for r in relations),
        **values,
    )


def line(image: str, objects: dict[str, Any], relations=(), size=(100, 80), **more):
    """One JSONL row; `objects` maps ids to boxes, `relations` are triples of ids and predicate."""
    row = {
        "image": image,
        "objects": [{"id": k, "bbox": v} for k, v in objects.items()],
        "relationships": [{"subject": s, "predicate": p, "object": o} for s, p, o in relations],
        **more,
    }
    return row if size is None else {**row, "width": size[0], "height": size[1]}


def write_lines(folder: Path, rows, name: str = "annotations.jsonl") -> Path:
    """An annotation file; strings and bytes are written as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_image(path: Path, size=(100, 80), colour="red", **save) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **save)
    return path


def rotated(path: Path, size=(60, 100)) -> Path:
    """A JPEG stored as `size` that its EXIF tag turns by 90°: upright, width is size[1]."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return write_image(path, size, exif=exif)


def truncated(path: Path, size=(100, 80)) -> Path:
    """An image whose header is whole and whose pixels are cut off."""
    write_image(path, size)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


BOXES = {"man.1": [10, 10, 50, 60], "dog.2": [40, 30, 90, 70]}
"""Two objects that fit 100 × 80."""
NEAR = [("man.1", "near", "dog.2")]
