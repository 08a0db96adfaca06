"""From a source to a prepared table: read, check, count, cache.

Comes in: a `DataConfig` and the part (train or eval). Goes out: a `Prepared` with one row per usable
image (references to pictures, not pixels), the report of everything amiss, and a fingerprint: same
annotations and config, same fingerprint, on any machine. Pictures are checked where they lie and are
no part of the fingerprint: a table is kept per place, and made again when a picture that it lacks was
mended.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from sgg.config.data import (
    BOX_FORMAT_SOURCES,
    BoxFormat,
    DataConfig,
    ImageCheck,
    ImageSource,
    Source,
    SplitConfig,
)
from sgg.data import cache as table
from sgg.data.clean import Policy, Report
from sgg.data.example import Example
from sgg.data.images import ImageStore
from sgg.data.loss import refuse_empty, warnings, without_objects
from sgg.data.rows_table import open_table
from sgg.data.sources.base import Reader, existing_folder
from sgg.data.sources.coco import CocoReader
from sgg.data.sources.gqa import GqaReader
from sgg.data.sources.hub_rows import RowsReader
from sgg.data.sources.jsonl import JsonlReader
from sgg.data.sources.psg import PsgReader
from sgg.data.sources.shapes import ShapesReader
from sgg.data.sources.vg import open_vg
from sgg.data.sources.vrd import VrdReader
from sgg.data.workers import Job, clean_all
from sgg.errors import SggError
from sgg.scene.graph import from_dict
from sgg.scene.vocab import VOCABULARIES, Vocabulary

FORMAT = 5
"""Raise when prepared tables change meaning: old caches are then not found."""


@dataclass(frozen=True)
class Prepared:
    """A checked split."""

    rows: Any
    """`datasets.Dataset` with image_id, image_ref, width, height, graph and columns (JSON), and
    digest, by which pictures are told apart (empty where there is none)."""
    report: dict[str, Any]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    """What whoever uses the split should know, in sentences."""
    refusal: str = ""
    """Why no run should use it (`loss.without_objects`); empty where one may."""

    def __len__(self) -> int:
        return len(self.rows)

    def gold(self, index: int) -> dict[str, Any]:
        """A row without its picture: image_id, width, height, graph (`SceneGraph`), columns."""
        return decode_row(self.rows[index])


def decode_row(row: dict[str, Any]) -> dict[str, Any]:
    """A stored row with its graph and columns as objects."""
    graph, columns = from_dict(json.loads(row["graph"])), json.loads(row["columns"])
    return {**row, "graph": graph, "columns": columns}


def example(row: dict[str, Any], store: ImageStore) -> Example:
    """A stored row with its picture."""
    gold = decode_row(row)
    graph, width, height = gold["graph"], gold["width"], gold["height"]
    image = store.load(gold["image_ref"], graph, width, height)
    return Example(gold["image_id"], image, width, height, graph, gold["columns"])


def vocabulary(data: DataConfig) -> Vocabulary | None:
    """The configured vocabulary."""
    return VOCABULARIES.get(data.vocabulary.name)


def image_store(data: DataConfig, part: str) -> ImageStore:
    """Where the pictures of a part come from."""
    plan = data.shapes if data.source is Source.shapes else None
    rows = None
    if data.source is Source.rows:
        path, split = _path(data, part), _split(data, part).name
        rows = partial(_table_of_rows, path, split, f"data.{part}.path")
    return ImageStore(f"data.{part}", rows, plan, data.image_source is ImageSource.painted)


def prepare(
    data: DataConfig, part: str, cache: Path, quiet: bool = False, every_picture: bool = False
) -> Prepared:
    """The checked split, from the cache if it was prepared before.

    With `every_picture`, it is made again if any picture file was changed since, and not only if one
    was mended that it lacks.

    Raises:
        SggError: the source is missing or has another form; no image, or no relation of those that
            it has, is usable.

    """
    reader = open_reader(data, part)
    fingerprint = _fingerprint(data, part, reader)
    folder = _table_folder(data, part, fingerprint, cache)
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not table.is_current(folder, every_picture):
            _build(reader, data, part, folder, quiet)
        report = table.read_report(folder)
        refuse_empty(data, part, report)
        told = tuple(warnings(data, part, report))
        refusal = without_objects(data, part, report)
        return Prepared(table.read_rows(folder), report, fingerprint, told, refusal)


def is_prepared(data: DataConfig, part: str, cache: Path) -> bool:
    """Whether `prepare` would find the split in the cache.

    Raises:
        SggError: the source is missing or has another form.

    """
    fingerprint = _fingerprint(data, part, open_reader(data, part))
    folder = _table_folder(data, part, fingerprint, cache)
    return table.is_current(folder, every_picture=False)


def usable_images(data: DataConfig, part: str, cache: Path) -> int | None:
    """Usable images of a split that was prepared before; None where it was not. Prepares nothing.

    Raises:
        SggError: the source is missing or has another form.

    """
    folder = _table_folder(data, part, _fingerprint(data, part, open_reader(data, part)), cache)
    if not table.is_current(folder, every_picture=False):
        return None
    return int(table.read_report(folder)["kept"].get("images", 0))


def _table_folder(data: DataConfig, part: str, fingerprint: str, cache: Path) -> Path:
    place = hashlib.sha256(_place(data, part).encode()).hexdigest()[:8]
    return cache / f"{data.source.name}-{part}-{fingerprint}-{place}"


def open_reader(data: DataConfig, part: str) -> Reader:
    """The reader of a part of a source."""
    split = _split(data, part)
    key = f"data.{part}.path"
    if data.source is Source.shapes:
        return ShapesReader(data.shapes, split.seed, split.offset + (split.limit or 0))
    if data.source is Source.rows:
        decode = data.image_check is ImageCheck.decode
        pictures = data.image_source is ImageSource.files
        return RowsReader(_path(data, part), split.name, key, decode, pictures, *_row_folders(data))
    root, images = existing_folder(data.root, "data.root"), _images_folder(data)
    if data.source is Source.vg:
        return open_vg(root, images, split.name, split.path, key)
    if data.source is Source.psg:
        return PsgReader(root, images, split.name, split.path, key)
    if data.source is Source.vrd:
        return VrdReader(root, images, split.name or "train")
    if data.source is Source.coco:
        return CocoReader(root, images, split.name, split.path, key)
    if split.path is None:
        raise SggError(f"{key} must be given: the annotation file below data.root.")
    if data.source is Source.gqa:
        return GqaReader(root / split.path, images, key)
    return JsonlReader(root / split.path, images or root, key)


def _has_files(data: DataConfig) -> bool:
    """Whether the pictures are somebody's files or rows, and not drawn by us."""
    return data.image_source is ImageSource.files and data.source is not Source.shapes


def _images_folder(data: DataConfig) -> Path | None:
    """The folder of the picture files, without symbolic links; None for sources without files."""
    if not _has_files(data) or data.source is Source.rows:
        return None
    return existing_folder(data.image_folder or data.root, "data.image_folder").resolve()


def _row_folders(data: DataConfig) -> tuple[Path | None, Path | None]:
    """data.image_folder and data.root, below which rows may name files; None where they are not set."""
    named = {"data.image_folder": data.image_folder, "data.root": data.root}
    images, root = (existing_folder(f, key).resolve() if f else None for key, f in named.items())
    return images, root


def _place(data: DataConfig, part: str) -> str:
    """What a prepared table's references to picture files depend on."""
    if data.source is Source.rows and _has_files(data):
        path = Path(_path(data, part)).expanduser()
        return f"{_row_folders(data)} {path.resolve() if path.exists() else path}"
    if data.source is Source.coco:  # may find them beside its files, too
        return f"{_images_folder(data)} {existing_folder(data.root, 'data.root').resolve()}"
    return str(_images_folder(data))


def _split(data: DataConfig, part: str) -> SplitConfig:
    return data.train if part == "train" else data.eval


def _path(data: DataConfig, part: str) -> str:
    path = _split(data, part).path
    if path is None:
        raise SggError(f"data.{part}.path must be given: a hub id, a folder or a file.")
    if not data.root:
        return path
    below = Path(data.root) / path
    if not below.expanduser().exists():
        raise SggError(
            f"data.{part}.path={path}: not below data.root={data.root}. Name the folder or file there by "
            f"data.{part}.path=NAME, or leave data.root out, and {path} is a hub id or a path of its own."
        )
    return str(below)


def _table_of_rows(path: str, split: str | None, key: str) -> Any:
    return open_table(path, split, key).rows


def _fingerprint(data: DataConfig, part: str, reader: Reader) -> str:
    """16 hex digits over the annotations and every option that changes what is made of them."""
    split = _split(data, part)
    values = {
        "format": FORMAT,
        "source": data.source.name,
        "identity": reader.identity(),
        "split": split.name,
        "pictures": data.image_source.name,
        "offset": split.offset,
        "limit": split.limit,
        "vocabulary": data.vocabulary.name,
        "box_format": _box_format(data).name,
        "clip_boxes": data.clip_boxes,
        "duplicates": data.duplicates.name,
        "drop_unknown": data.drop_unknown,
        "min_relations": data.min_relations,
        "image_check": data.image_check.name,
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _box_format(data: DataConfig) -> BoxFormat:
    """The configured one; readers of sources with a form of their own give corners in pixels."""
    return data.box_format if data.source in BOX_FORMAT_SOURCES else BoxFormat.xyxy


def _build(reader: Reader, data: DataConfig, part: str, folder: Path, quiet: bool) -> None:
    """Read, check and write the split to `folder`."""
    split = _split(data, part)
    policy = Policy(
        vocabulary(data),
        _box_format(data),
        data.clip_boxes,
        data.duplicates,
        data.drop_unknown,
        data.min_relations,
    )
    job = Job(reader, policy, data.image_check if _has_files(data) else None)
    stop = len(reader) if split.limit is None else min(len(reader), split.offset + split.limit)
    report, rows, seen = Report(), [], set()
    with tqdm(
        total=max(stop - split.offset, 0), desc=f"prepare {part}", unit="image", disable=quiet
    ) as bar:
        for chunk in clean_all(job, range(split.offset, stop), data.workers):
            report.add(chunk.report)
            for row in chunk.rows:
                if row["image_id"] in seen:
                    report.note("duplicate_image", row["image_id"])
                    report.undo(decode_row(row)["graph"])
                else:
                    seen.add(row["image_id"])
                    rows.append(row)
            bar.update(chunk.count)
    report.judge_set()
    report.remarks = list(reader.remarks)
    table.write(folder, rows, report)
