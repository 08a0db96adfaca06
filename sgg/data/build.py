"""From a source to a prepared table: read, check, count, cache.

Comes in: a `DataConfig` and the part (train or eval). Goes out: a `Prepared` with one row per usable
image (references to pictures, not pixels), the report of everything amiss, and a fingerprint: same
source and config, same fingerprint, on any machine. Rows are cleaned in parallel; the table is
written to a folder of its own and moved into place, so a killed run leaves nothing half done.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from sgg.config import DataConfig, SplitConfig
from sgg.data import shapes
from sgg.data.check import Policy, Report, clean
from sgg.data.example import Example, RawExample
from sgg.data.gqa import GqaReader
from sgg.data.images import DECODE_ERRORS, ImageStore, open_upright
from sgg.data.jsonl import JsonlReader
from sgg.data.psg import PsgReader
from sgg.data.reader import Reader, existing_folder
from sgg.data.rows import RowsReader, open_table
from sgg.data.shapes_reader import ShapesReader
from sgg.data.vg import open_vg
from sgg.data.vrd import VrdReader
from sgg.errors import SggError
from sgg.graph import from_dict, to_dict
from sgg.options import ImageCheck, Pictures, Source
from sgg.vocab import VOCABULARIES, Vocabulary, canonical

FORMAT = 1
"""Raise when prepared tables change meaning: old caches are then not found."""
CHUNK = 256


@dataclass(frozen=True)
class Prepared:
    """A checked split."""

    rows: Any
    """`datasets.Dataset` with image_id, image_ref, width, height, graph and columns (JSON)."""
    report: dict[str, Any]
    fingerprint: str

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
    plan = scene_plan(data) if data.source is Source.shapes else None
    rows = None
    if data.source is Source.rows:
        path, split = _path(data, part), _split(data, part).name
        rows = partial(_table_of_rows, path, split, f"data.{part}.path")
    return ImageStore(rows, plan, data.pictures is Pictures.painted)


def scene_plan(data: DataConfig) -> shapes.ScenePlan:
    """The synthetic scenes' plan."""
    return shapes.ScenePlan(**asdict(data.shapes))


def prepare(data: DataConfig, part: str, cache: Path, quiet: bool = False) -> Prepared:
    """The checked split, from the cache if it was prepared before.

    Raises:
        SggError: the source is missing, has another form, or nothing of it is usable.

    """
    import datasets

    reader = open_reader(data, part)
    fingerprint = _fingerprint(data, part, reader)
    folder = cache / f"{data.source.name}-{part}-{fingerprint}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _build(reader, data, part, folder, quiet)
    rows = datasets.load_from_disk(str(folder))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if not len(rows):
        raise SggError(
            f"data.{part}: none of {report['read'].get('images', 0)} images is usable: "
            f"{report['amiss']}. `sgg prepare` shows the report."
        )
    return Prepared(rows, report, fingerprint)


def open_reader(data: DataConfig, part: str) -> Reader:
    """The reader of a part of a source."""
    split = _split(data, part)
    key = f"data.{part}.path"
    if data.source is Source.shapes:
        return ShapesReader(scene_plan(data), split.seed, split.offset + (split.limit or 0))
    if data.source is Source.rows:
        return RowsReader(_path(data, part), split.name, key)
    root = existing_folder(data.root, "data.root")
    painted = data.pictures is Pictures.painted
    images = None if painted else existing_folder(data.images or data.root, "data.images")
    if data.source is Source.vg:
        return open_vg(root, images, split.name)
    if data.source is Source.psg:
        return PsgReader(root, images, split.name)
    if data.source is Source.vrd:
        return VrdReader(root, images, split.name or "train")
    if split.path is None:
        raise SggError(f"{key} must be given: the annotation file below data.root.")
    if data.source is Source.gqa:
        return GqaReader(root / split.path, images, key)
    return JsonlReader(root / split.path, images or root, key)


def _split(data: DataConfig, part: str) -> SplitConfig:
    return data.train if part == "train" else data.eval


def _path(data: DataConfig, part: str) -> str:
    path = _split(data, part).path
    if path is None:
        raise SggError(f"data.{part}.path must be given: a hub id, a folder or a file.")
    return str(Path(data.root) / path) if data.root else path


def _table_of_rows(path: str, split: str | None, key: str) -> Any:
    return open_table(path, split, key)[0]


def _fingerprint(data: DataConfig, part: str, reader: Reader) -> str:
    """16 hex digits over the content of the source and every option that changes the result."""
    split = _split(data, part)
    values = {
        "format": FORMAT,
        "source": data.source.name,
        "identity": reader.identity(),
        "images": data.images if data.source is not Source.rows else None,
        "pictures": data.pictures.name,
        "offset": split.offset,
        "limit": split.limit,
        "vocabulary": data.vocabulary.name,
        "clip_boxes": data.clip_boxes,
        "duplicates": data.duplicates.name,
        "drop_unknown": data.drop_unknown,
        "min_relations": data.min_relations,
        "check_images": data.check_images.name,
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Job:
    """What a worker needs; inherited by fork, never pickled."""

    reader: Reader
    policy: Policy
    check: ImageCheck | None


_job: _Job | None = None


def _build(reader: Reader, data: DataConfig, part: str, folder: Path, quiet: bool) -> None:
    """Read, check and write the split to `folder`."""
    import datasets

    global _job
    split = _split(data, part)
    has_files = data.pictures is Pictures.files and data.source is not Source.shapes
    policy = Policy(
        vocabulary(data), data.clip_boxes, data.duplicates, data.drop_unknown, data.min_relations
    )
    _job = _Job(reader, policy, data.check_images if has_files else None)
    stop = len(reader) if split.limit is None else min(len(reader), split.offset + split.limit)
    report, rows, seen = Report(), [], set()
    with tqdm(
        total=max(stop - split.offset, 0), desc=f"prepare {part}", unit="image", disable=quiet
    ) as bar:
        for chunk_rows, chunk_report, count in _chunks(range(split.offset, stop), data.workers):
            report.add(chunk_report)
            for row in chunk_rows:
                if row["image_id"] in seen:
                    report.note("duplicate_image", row["image_id"])
                else:
                    seen.add(row["image_id"])
                    rows.append(row)
            bar.update(count)
    partial_folder = folder.with_suffix(f".partial-{os.getpid()}")
    datasets.Dataset.from_list(rows, features=_features()).save_to_disk(str(partial_folder))
    (partial_folder / "report.json").write_text(json.dumps(_plain(report), indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    partial_folder.rename(folder)


def _features() -> Any:
    from datasets import Features, Value

    text, number = Value("string"), Value("int32")
    return Features(
        {
            "image_id": text,
            "image_ref": text,
            "width": number,
            "height": number,
            "graph": text,
            "columns": text,
        }
    )


def _chunks(indices: range, workers: int) -> Iterator[tuple[list[dict[str, Any]], Report, int]]:
    """Cleaned rows of consecutive chunks, in order, in as many processes as asked for."""
    chunks = [indices[i : i + CHUNK] for i in range(0, len(indices), CHUNK)]
    workers = min(workers or os.cpu_count() or 1, len(chunks))
    if workers <= 1:
        yield from map(_clean_chunk, chunks)
        return
    context = multiprocessing.get_context("fork")  # readers are large: share their memory
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_clean_chunk, chunks)


def _clean_chunk(indices: range) -> tuple[list[dict[str, Any]], Report, int]:
    assert _job is not None
    report, rows = Report(), []
    for index in indices:
        raw = _job.reader.read(index)
        if not raw.broken and _job.check is not None:
            kind = _picture_problem(raw, _job.check)
            if kind is not None:
                report.read.update(images=1, objects=len(raw.objects), relations=len(raw.relations))
                report.note(kind, raw.image_id)
                continue
        graph = clean(raw, _job.policy, report)
        if graph is None:
            continue
        names = [canonical(n.name) for n in graph.nodes]
        for edge in graph.edges if _job.reader.zero_shot else ():
            triplet = names[edge.subject], canonical(edge.predicate), names[edge.object]
            if triplet in _job.reader.zero_shot:
                report.zero_shot.add(triplet)
        rows.append(
            {
                "image_id": raw.image_id,
                "image_ref": raw.image_ref,
                "width": raw.width,
                "height": raw.height,
                "graph": json.dumps(to_dict(graph)),
                "columns": json.dumps(dict(raw.columns)),
            }
        )
    return rows, report, len(indices)


def _picture_problem(raw: RawExample, check: ImageCheck) -> str | None:
    """The kind of what is wrong with a row's picture, if anything."""
    from PIL import Image

    kind, _, place = raw.image_ref.partition(":")
    if not place:
        return "no_image"
    if kind == "row":  # decoded when the row was read
        return None
    try:
        if check is ImageCheck.decode:
            size = open_upright(Path(place)).size
        else:
            with Image.open(place) as image:
                size = image.size
    except FileNotFoundError:
        return "no_image"
    except DECODE_ERRORS:
        return "broken_image"
    same = size == (raw.width, raw.height)
    turned = check is ImageCheck.header and size == (raw.height, raw.width)
    return None if same or turned else "wrong_size"


def _plain(report: Report) -> dict[str, Any]:
    return {
        "read": dict(report.read),
        "kept": dict(report.kept),
        "amiss": dict(report.amiss),
        "shown": report.shown,
        "zero_shot_triplets": len(report.zero_shot),
    }
