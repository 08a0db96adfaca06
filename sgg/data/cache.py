"""The prepared table on disk: rows, report, and what the image files were like.

A table is written beside its place and moved there, so a killed run leaves nothing half done.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgg.data.clean import Report
from sgg.data.images import stamp

REPORT_NAME = "report.json"
DROPPED_NAME = "dropped.json"
"""Stamps of the image files that images were dropped for, by path; null where there was no file."""
KEPT_NAME = "kept.json"
"""Stamps of all other image files."""


def write(folder: Path, rows: Sequence[dict[str, Any]], report: Report) -> None:
    """Make `folder` the table of these rows, whatever was there."""
    import datasets

    features = _features()
    columns = {name: [row[name] for row in rows] for name in features}
    partial = folder.with_suffix(f".partial-{os.getpid()}")
    with _no_bars():
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(partial))
    (partial / REPORT_NAME).write_text(json.dumps(_plain(report), indent=1), encoding="utf-8")
    for name, files in ((DROPPED_NAME, report.dropped_files), (KEPT_NAME, report.kept_files)):
        (partial / name).write_text(json.dumps(files), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a table."""
    report: dict[str, Any] = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    return report


def read_rows(folder: Path) -> Any:
    """The `datasets.Dataset` of a table, which must have rows: an empty one cannot be read back."""
    import datasets

    return datasets.load_from_disk(str(folder))


def is_current(folder: Path, every_image: bool) -> bool:
    """Whether a table is there, and no image that it lacks was mended since.

    With `every_image`, also whether no image that it has was changed: a look at each file.
    """
    if not folder.is_dir():
        return False
    for name in (DROPPED_NAME, KEPT_NAME) if every_image else (DROPPED_NAME,):
        files = json.loads((folder / name).read_text(encoding="utf-8"))
        if any(stamp(file) != before for file, before in files.items()):
            return False
    return True


@contextmanager
def _no_bars() -> Iterator[None]:
    """Hush the bars of `datasets`: writing takes no time, and preparing has a bar of its own."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


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
            "digest": text,
        }
    )


def _plain(report: Report) -> dict[str, Any]:
    return {
        "read": dict(report.read),
        "kept": dict(report.kept),
        "set_aside": dict(report.set_aside),
        "boxes": dict(report.boxes),
        "issues": dict(report.issues),
        "shown": report.shown,
        "looked_for": [path for path in report.looked_for if not path.startswith("row:")],
        "remarks": report.remarks,
        "zero_shot_triplets": len(report.zero_shot),
    }
