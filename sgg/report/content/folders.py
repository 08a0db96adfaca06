"""Which runs a report is about: of a run folder, a pipeline, a sweep, or several of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.runs.folder import PIPELINE, SWEEP
from sgg.runs.records import read_pipeline
from sgg.runs.sweep import read_sweep


@dataclass(frozen=True)
class RunFolder:
    """One run of a report."""

    label: str
    """What the report calls it; no two of one report are equal."""
    path: Path
    point: str = ""
    """Name of its point, in a sweep."""


def runs_of(folders: Sequence[Path]) -> list[RunFolder]:
    """The runs in all folders, in their order; with several, each label begins with its folder's name.

    Raises:
        SggError: in a folder there is none.

    """
    runs: list[RunFolder] = []
    for folder in folders:
        found = runs_in(folder)
        name = folder.resolve().name
        if len(folders) > 1:
            alone = len(found) == 1
            found = [replace(r, label=name if alone else f"{name}/{r.label}") for r in found]
        runs += found
    return _told_apart(runs)


def runs_in(folder: Path) -> list[RunFolder]:
    """The folder's own run, those of its pipeline, or those of its sweep that have begun, in their order.

    Raises:
        SggError: there is none.

    """
    if (folder / SWEEP).is_file():
        return _of_sweep(folder)
    if pipeline := read_pipeline(folder):
        if not pipeline.steps:
            raise SggError(f"{folder}: no run there ({PIPELINE} names none).")
        return [RunFolder(name, folder / name) for name in pipeline.steps]
    if not (folder / FROZEN_NAME).is_file():
        raise SggError(f"{folder}: no run there ({FROZEN_NAME} is missing).")
    return [RunFolder(folder.resolve().name, folder)]


def _of_sweep(folder: Path) -> list[RunFolder]:
    record = read_sweep(folder)
    steps = Counter(run.point for run in record.runs)
    found = []
    for run in record.runs:
        point = record.points[run.point].name
        label = f"{point}/{run.step}" if steps[run.point] > 1 else point
        if (folder / run.folder / FROZEN_NAME).is_file():
            found.append(RunFolder(label, folder / run.folder, point))
    if not found:
        raise SggError(f"{folder}: none of its {len(record.runs)} runs has begun.")
    return found


def _told_apart(runs: Sequence[RunFolder]) -> list[RunFolder]:
    seen: Counter[str] = Counter()
    found = []
    for run in runs:
        seen[run.label] += 1
        number = seen[run.label]
        found.append(run if number == 1 else replace(run, label=f"{run.label} ({number})"))
    return found
