"""Which runs of a sweep share a submission, and which submission waits for which."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from launchers.slurm.script import Array, request_key
from sgg.config.schema import Config
from sgg.files import write_whole
from sgg.models.weights import is_complete
from sgg.runs.sweep import RunRecord, SweepRecord

ConfigOf = Callable[[RunRecord], Config]


def write_runs_file(array: Array, record: SweepRecord) -> None:
    """The file by which a task of the array finds its run folder."""
    folders = {run.point: run.folder for run in record.runs if run.step == array.step}
    lines = [
        str(array.sweep / folders[p]) if p in folders else "" for p in range(len(record.points))
    ]
    write_whole(array.runs_file(), "\n".join(lines) + "\n")  # tasks that wait may start meanwhile


def arrays(
    folder: Path, record: SweepRecord, runs: list[RunRecord], config_of: ConfigOf
) -> Iterable[tuple[Array, list[RunRecord]]]:
    """Submissions in order: points with the same steps to do and the same requests share them.

    A generator: when an array is asked for, the one before it has its job id.
    """
    sources = {(run.point, run.step): run for run in record.runs}
    by_point: dict[int, list[RunRecord]] = {}
    for run in runs:
        by_point.setdefault(run.point, []).append(run)

    def waits_for(run: RunRecord) -> str | None:
        source = sources.get((run.point, run.after or ""))
        if source is None or is_complete(folder / source.folder):
            return None
        return source.jobs[-1].partition("_")[0] if source.jobs else f"JOB_OF_{source.step}"

    def kind(point: int) -> str:
        ours = by_point[point]
        return repr([(run.step, waits_for(run), request_key(config_of(run))) for run in ours])

    # once: ids change while arrays are submitted
    kinds = {point: kind(point) for point in by_point}
    for _, alike in groupby(sorted(by_point, key=lambda p: (kinds[p], p)), key=kinds.__getitem__):
        points = tuple(alike)
        for chosen in zip(*(by_point[point] for point in points), strict=True):
            first = chosen[0]
            yield (
                Array(
                    folder,
                    first.step,
                    config_of(first),
                    points,
                    record.parallel,
                    record.cwd,
                    waits_for(first),
                ),
                list(chosen),
            )
