"""Which runs of a sweep `sgg cancel` has ended: SWEEP_DIR/cancelled/POINT.STEP, an empty file for each.

`sweep.json` is written by the owner of the sweep's folder only, which may be starting runs meanwhile, on
another host. So `sgg cancel` marks runs first and then ends the jobs that `sweep.json` has by then; who
starts a run writes its job down first and then looks for a mark. One of the two sees the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sgg.files import make_output_folder, write_first
from sgg.runs.sweep import RunRecord

FOLDER = "cancelled"


def mark_cancelled(sweep: Path, runs: Iterable[RunRecord]) -> None:
    """These runs are to end, or not to begin."""
    make_output_folder(sweep / FOLDER)
    for run in runs:
        write_first(_mark(sweep, run), b"")


def forget_cancelled(sweep: Path, runs: Iterable[RunRecord]) -> None:
    """A person starts these runs again."""
    for run in runs:
        _mark(sweep, run).unlink(missing_ok=True)


def cancelled_files(sweep: Path, runs: Iterable[RunRecord]) -> list[Path]:
    """The files that mark these runs, whether they are there or not."""
    return [_mark(sweep, run) for run in runs]


def cancelled_of(sweep: Path, runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Those that are marked. Opening a folder has NFS look at the server, so marks are up to date."""
    try:
        names = set(os.listdir(sweep / FOLDER))  # noqa: PTH208  # names are all that is wanted
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [run for run in runs if _mark(sweep, run).name in names]


def _mark(sweep: Path, run: RunRecord) -> Path:
    return sweep / FOLDER / f"{run.point:03}.{run.step}"
