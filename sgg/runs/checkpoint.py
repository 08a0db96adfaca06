"""Which checkpoints are complete: those whose marker fits their files.

The marker is a small file, written last and atomically, that lists every file of the checkpoint with size
and checksum. A checkpoint without a marker, or with one that no longer fits, is never resumed from; old
checkpoints are removed only after a newer one is complete.
"""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path

from sgg.errors import SggError
from sgg.files import read_record, write_json
from sgg.runs.records import read_best, refuse_outside

MARKER = "whole.json"
_CHECKSUM_LIMIT = 256 << 20
"""Larger files are known by their size alone: summing a 7B optimiser would take minutes."""


def mark_complete(folder: Path) -> None:
    """Write the marker of a checkpoint; its files reach the disk before the marker does."""
    listed = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARKER):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        listed[str(path.relative_to(folder))] = [path.stat().st_size, _checksum(path)]
    write_json(folder / MARKER, listed)


def is_marked_complete(folder: Path) -> bool:
    """Whether the checkpoint has a marker."""
    return (folder / MARKER).is_file()


def problem_with(folder: Path) -> str | None:
    """What no longer fits the marker; None if all does, or if there is no marker."""
    if not is_marked_complete(folder):
        return None
    try:
        listed = read_record(folder / MARKER, dict[str, tuple[int, int | None]])
        for name in listed or ():
            refuse_outside(name, folder / MARKER)
    except SggError as error:
        return str(error)
    if listed is None:
        return f"{MARKER} is no valid JSON"
    for name, (size, checksum) in listed.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
        if checksum is not None and _checksum(path) != checksum:
            return f"{name} has changed since it was written"
    return None


def checkpoints(run_dir: Path) -> list[Path]:
    """All checkpoint folders, complete or not, oldest step first."""
    found = [p for p in run_dir.glob("checkpoint-*") if p.is_dir() and p.name[11:].isdigit()]
    return sorted(found, key=lambda p: int(p.name[11:]))


def newest_complete(run_dir: Path) -> Path | None:
    """The newest checkpoint whose marker fits its files."""
    for folder in reversed(checkpoints(run_dir)):
        if is_marked_complete(folder) and problem_with(folder) is None:
            return folder
    return None


def remove_incomplete(run_dir: Path) -> list[str]:
    """Remove checkpoints that are not complete, saying which and why: a new one may take their place."""
    said = []
    for folder in checkpoints(run_dir):
        problem = problem_with(folder) if is_marked_complete(folder) else "it was not finished"
        if problem is not None:
            shutil.rmtree(folder)
            said.append(f"{folder.name} is not complete ({problem}); removed")
    return said


def remove_unmarked(folder: Path) -> None:
    """Remove a folder that is about to be written, so that no link in it is written through."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def prune(run_dir: Path, count: int) -> None:
    """Remove all but the newest `count` complete checkpoints and the best one (`best.json`)."""
    complete = [p for p in checkpoints(run_dir) if is_marked_complete(p)]
    best = read_best(run_dir)
    for folder in complete[:-count]:
        if best is not None and folder.name == best.checkpoint:
            continue
        (folder / MARKER).unlink()  # so that a removal cut short leaves no rest that looks complete
        shutil.rmtree(folder)


def _checksum(path: Path) -> int | None:
    if path.stat().st_size > _CHECKSUM_LIMIT:
        return None
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
