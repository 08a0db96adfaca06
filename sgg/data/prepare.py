"""From a source to a prepared table: read, check, count, cache.

Input: a `DataConfig` and the split (train or eval). Output: a `Prepared` with one row per usable
image (references to images, not pixels), the report of every issue, and a fingerprint: same
annotations and config, same fingerprint, on any machine. Images are checked where they lie and are
no part of the fingerprint: a table is kept per place, and made again when an image that it lacks was
mended.
"""

from __future__ import annotations

import hashlib
import inspect
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
from sgg.data.sources.source import Split
from sgg.data.sources.table import SOURCES
from sgg.data.workers import Job, clean_all
from sgg.scene.vocab import VOCABULARIES, Vocabulary

FORMAT = 7
"""Raise when prepared tables change meaning: old caches are then not found."""


def vocabulary(data: DataConfig) -> Vocabulary | None:
    """The configured vocabulary."""
    return VOCABULARIES.get(data.vocabulary.name)


def image_store(data: DataConfig, split: str) -> ImageStore:
    """Where the images of a split come from."""
    source = SOURCES[data.source]
    plan = data.shapes if source.is_drawn else None
    rows = partial(source.table, Split(data, split)) if source.table is not None else None
    return ImageStore(f"data.{split}", rows, plan, data.image_source is ImageSource.painted)


def prepare(
    data: DataConfig, split: str, cache: Path, quiet: bool = False, every_image: bool = False
) -> Prepared:
    """The checked split, from the cache if it was prepared before.

    With `every_image`, it is made again if any image file was changed since, and not only if one
    was mended that it lacks.

    Raises:
        SggError: the source is missing or has another form; no image, or no relation of those that
            it has, is usable.

    """
    reader = open_reader(data, split)
    fingerprint = _fingerprint(data, split, reader)
    folder = _table_folder(data, split, fingerprint, cache)
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not table.is_current(folder, every_image):
            _build(reader, data, split, folder, quiet)
        report = table.read_report(folder)
        refuse_empty(data, split, report)
        told = tuple(warnings(data, split, report))
        refusal = without_objects(data, split, report)
        return Prepared(table.read_rows(folder), report, fingerprint, told, refusal)


def is_prepared(data: DataConfig, split: str, cache: Path) -> bool:
    """Whether `prepare` would find the split in the cache.

    Raises:
        SggError: the source is missing or has another form.

    """
    fingerprint = _fingerprint(data, split, open_reader(data, split))
    folder = _table_folder(data, split, fingerprint, cache)
    return table.is_current(folder, every_image=False)


def usable_images(data: DataConfig, split: str, cache: Path) -> int | None:
    """Usable images of a split that was prepared before; None where it was not. Prepares nothing.

    Raises:
        SggError: the source is missing or has another form.

    """
    folder = _table_folder(data, split, _fingerprint(data, split, open_reader(data, split)), cache)
    if not table.is_current(folder, every_image=False):
        return None
    return int(table.read_report(folder)["kept"].get("images", 0))


def _table_folder(data: DataConfig, split: str, fingerprint: str, cache: Path) -> Path:
    """Another folder for another place of the images, and for other code of the source's module.

    The code is no part of the fingerprint, which is the same on all machines and for all versions that
    read alike; but whoever writes a reader must never get the table of an earlier try.
    """
    digest = hashlib.sha256(_place(data, split).encode())
    code = inspect.getsourcefile(SOURCES[data.source].open)
    digest.update(Path(code).read_bytes() if code else b"")
    return cache / f"{data.source.name}-{split}-{fingerprint}-{digest.hexdigest()[:8]}"


def open_reader(data: DataConfig, split: str) -> Reader:
    """The reader of one split of a source.

    Raises:
        SggError: the source is missing or has another form.

    """
    return SOURCES[data.source].open(Split(data, split))


def _place(data: DataConfig, split: str) -> str:
    """What a prepared table's references to image files depend on."""
    source = SOURCES[data.source]
    return str(source.place(Split(data, split)) if source.reads_images(data) else None)


def _fingerprint(data: DataConfig, split: str, reader: Reader) -> str:
    """16 hex digits over the annotations and every option that changes what is made of them."""
    config = Split(data, split).config
    values = {
        "format": FORMAT,
        "source": data.source.name,
        "identity": reader.identity(),
        "split": config.name,
        "images": data.image_source.name,
        "offset": config.offset,
        "limit": config.limit,
        "vocabulary": data.vocabulary.name,
        "box_format": _box_format(data).name,
        "clip_boxes": data.clip_boxes,
        "duplicates": data.duplicates.name,
        "drop_unknown": data.drop_unknown,
        "min_relations": data.min_relations,
        "image_check": data.image_check.name,
        "outside": data.outside,
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _box_format(data: DataConfig) -> BoxFormat:
    """The configured one; readers of sources with a form of their own give corners in pixels."""
    return data.box_format if SOURCES[data.source].reads_box_format else BoxFormat.xyxy


def _build(reader: Reader, data: DataConfig, split: str, folder: Path, quiet: bool) -> None:
    """Read, check and write the split to `folder`."""
    config = Split(data, split).config
    policy = Policy(
        vocabulary(data),
        _box_format(data),
        data.clip_boxes,
        data.duplicates,
        data.drop_unknown,
        data.min_relations,
    )
    job = Job(
        reader,
        policy,
        data.image_check if SOURCES[data.source].reads_images(data) else None,
        None if data.outside else Split(data, split).folders(),
    )
    stop = len(reader) if config.limit is None else min(len(reader), config.offset + config.limit)
    report, rows, seen = Report(), [], set()
    with tqdm(
        total=max(stop - config.offset, 0),
        desc=f"prepare {split}",
        unit="image",
        disable=quiet,
    ) as bar:
        for chunk in clean_all(job, range(config.offset, stop), data.workers):
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
