"""Whole checkpoints and half ones: a checkpoint counts only when it is sealed.

A seal is a small file, written last and atomically, that lists every file of the checkpoint with size
and checksum. Whatever is not sealed, or no longer fits its seal, is never resumed from; old checkpoints
are removed only after a newer one is sealed.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path

from sgg.files import write_json

SEAL = "whole.json"
_CHECKSUM_LIMIT = 256 << 20
"""Larger files are known by their size alone: summing a 7B optimiser would take minutes."""


def mark_complete(folder: Path) -> None:
    """Declare a checkpoint whole; its files reach the disk before the seal does."""
    listed = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SEAL):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        listed[str(path.relative_to(folder))] = [path.stat().st_size, _checksum(path)]
    write_json(folder / SEAL, listed)


def is_marked_complete(folder: Path) -> bool:
    """Whether the checkpoint was declared whole."""
    return (folder / SEAL).is_file()


def problem_with(folder: Path) -> str | None:
    """What no longer fits the marker; None if all does, or if there is no marker."""
    if not is_marked_complete(folder):
        return None
    try:
        listed: dict[str, list[int | None]] = json.loads((folder / SEAL).read_text())
    except ValueError:
        return f"{SEAL} is no valid JSON"
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
    """All checkpoint folders, sealed or not, oldest step first."""
    found = [p for p in run_dir.glob("checkpoint-*") if p.is_dir() and p.name[11:].isdigit()]
    return sorted(found, key=lambda p: int(p.name[11:]))


def newest_complete(run_dir: Path) -> Path | None:
    """The newest checkpoint that is sealed and fits its seal."""
    for folder in reversed(checkpoints(run_dir)):
        if is_marked_complete(folder) and problem_with(folder) is None:
            return folder
    return None


def remove_incomplete(run_dir: Path) -> list[str]:
    """Remove checkpoints that are not whole, saying which and why: a new one may take their place."""
    said = []
    for folder in checkpoints(run_dir):
        problem = problem_with(folder) if is_marked_complete(folder) else "it was not finished"
        if problem is not None:
            shutil.rmtree(folder)
            said.append(f"{folder.name} is not whole ({problem}); removed")
    return said


def prune(run_dir: Path, count: int) -> None:
    """Remove all but the newest `count` sealed checkpoints."""
    whole = [p for p in checkpoints(run_dir) if is_marked_complete(p)]
    for folder in whole[:-count]:
        (folder / SEAL).unlink()  # so that a removal cut short leaves no whole-looking rest
        shutil.rmtree(folder)


def _checksum(path: Path) -> int | None:
    if path.stat().st_size > _CHECKSUM_LIMIT:
        return None
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
