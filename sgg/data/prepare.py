"""From a source to a prepared table: read, check, count, cache.

Comes in: a `DataConfig` and the part (train or eval). Goes out: a `Prepared` with one row per usable
image (references to images, not pixels), the report of every issue, and a fingerprint: same
annotations and config, same fingerprint, on any machine. Images are checked where they lie and are
no part of the fingerprint: a table is kept per place, and made again when an image that it lacks was
mended.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from sgg.config.data import BoxFormat, DataConfig, ImageSource
from sgg.data import cache as table
from sgg.data.clean import Policy, Report
from sgg.data.images import ImageStore
from sgg.data.loss import refuse_empty, warnings, without_objects
from sgg.data.prepared_split import Prepared, decode_row
from sgg.data.sources.base import Reader
from sgg.data.sources.source import Part
from sgg.data.sources.table import SOURCES
from sgg.data.workers import Job, clean_all
from sgg.scene.vocab import VOCABULARIES, Vocabulary

FORMAT = 6
"""Raise when prepared tables change meaning: old caches are then not found."""


def vocabulary(data: DataConfig) -> Vocabulary | None:
    """The configured vocabulary."""
    return VOCABULARIES.get(data.vocabulary.name)


def image_store(data: DataConfig, part: str) -> ImageStore:
    """Where the images of a part come from."""
    source = SOURCES[data.source]
    plan = data.shapes if source.is_drawn else None
    rows = partial(source.table, Part(data, part)) if source.table is not None else None
    return ImageStore(f"data.{part}", rows, plan, data.image_source is ImageSource.painted)


def prepare(
    data: DataConfig, part: str, cache: Path, quiet: bool = False, every_image: bool = False
) -> Prepared:
    """The checked split, from the cache if it was prepared before.

    With `every_image`, it is made again if any image file was changed since, and not only if one
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
        if not table.is_current(folder, every_image):
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
    return table.is_current(folder, every_image=False)


def usable_images(data: DataConfig, part: str, cache: Path) -> int | None:
    """Usable images of a split that was prepared before; None where it was not. Prepares nothing.

    Raises:
        SggError: the source is missing or has another form.

    """
    folder = _table_folder(data, part, _fingerprint(data, part, open_reader(data, part)), cache)
    if not table.is_current(folder, every_image=False):
        return None
    return int(table.read_report(folder)["kept"].get("images", 0))


def _table_folder(data: DataConfig, part: str, fingerprint: str, cache: Path) -> Path:
    place = hashlib.sha256(_place(data, part).encode()).hexdigest()[:8]
    return cache / f"{data.source.name}-{part}-{fingerprint}-{place}"


def open_reader(data: DataConfig, part: str) -> Reader:
    """The reader of a part of a source.

    Raises:
        SggError: the source is missing or has another form.

    """
    return SOURCES[data.source].open(Part(data, part))


def _place(data: DataConfig, part: str) -> str:
    """What a prepared table's references to image files depend on."""
    source = SOURCES[data.source]
    return str(source.place(Part(data, part)) if source.reads_pictures(data) else None)


def _fingerprint(data: DataConfig, part: str, reader: Reader) -> str:
    """16 hex digits over the annotations and every option that changes what is made of them."""
    split = Part(data, part).split
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
    return data.box_format if SOURCES[data.source].reads_box_format else BoxFormat.xyxy


def _build(reader: Reader, data: DataConfig, part: str, folder: Path, quiet: bool) -> None:
    """Read, check and write the split to `folder`."""
    split = Part(data, part).split
    policy = Policy(
        vocabulary(data),
        _box_format(data),
        data.clip_boxes,
        data.duplicates,
        data.drop_unknown,
        data.min_relations,
    )
    job = Job(
        reader, policy, data.image_check if SOURCES[data.source].reads_pictures(data) else None
    )
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
