"""`sgg cancel`: ends what a sweep has queued or running."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from launchers.consent import refuse_strange_sweep
from launchers.slurm.queue import end_jobs, own_jobs
from launchers.slurm.script import named_jobs
from launchers.sweep.cancellation import mark_cancelled
from launchers.sweep.status import ACTIVE, status_of
from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.runs.lease import holder
from sgg.runs.process_id import command_line, send
from sgg.runs.sweep import RunRecord, SweepRecord, read_sweep


def cancel_sweep(folder: Path, trust: bool = False) -> int:
    """Cancel queued and running runs and return how many there were. Finished runs are left alone.

    Args:
        folder: of the sweep, or of a part of it.
        trust: whether the user accepts a sweep that they have not signed.

    Raises:
        SggError: it is not the user's, cannot be reached from this machine, or names a process of something
            else, which is left alone.

    """
    folder = folder.resolve()
    status = status_of(folder)
    if status.record is None:
        raise SggError(f"{folder}: no sweep there; a run in a terminal is stopped by Ctrl-C.")
    if not trust:
        refuse_strange_sweep(status.folder, status.record, ["sgg", "cancel", str(folder)])
    if status.note:
        raise SggError(f"{folder}: {status.note} Cancel it there.")
    is_whole = status.folder == folder
    _refuse_others(status.folder, status.record, [s.run for s in status.runs if s.state in ACTIVE])
    unfinished = [s for s in status.runs if s.state != "finished"]
    mark_cancelled(status.folder, [s.run for s in unfinished])
    record = read_sweep(status.folder)  # whose owner may have started more since
    now = {(run.point, run.step): run for run in record.runs}
    active = [
        now[s.run.point, s.run.step]
        for s in unfinished
        if s.state in ACTIVE or s.run.jobs != now[s.run.point, s.run.step].jobs
    ]
    if record.launcher == "slurm":
        end_jobs(named_jobs(status.folder, active))
        return len(active)
    _refuse_others(status.folder, record, active)
    has_launcher = is_whole and _is_launcher(status.folder, record.process)
    if not has_launcher or not send(record.process, signal.SIGTERM):
        for run in active:
            if run.jobs:
                send(run.jobs[-1], signal.SIGTERM)
    return len(active)


def _is_launcher(sweep: Path, process: str) -> bool:
    """Whether a process starts runs of this very folder, and not of one that this is a copy of."""
    owner = holder(sweep)
    is_owner = owner is not None and (owner.process, owner.folder) == (process, str(sweep))
    return is_owner and "sgg" in _names(command_line(process) or [])


def _refuse_others(sweep: Path, record: SweepRecord, runs: Sequence[RunRecord]) -> None:
    """Raise SggError if a job or process of these runs is something else."""
    if record.launcher == "slurm":
        own_jobs(named_jobs(sweep, runs))
        return
    for run in runs:
        if run.jobs:
            frozen = str(sweep / run.folder / FROZEN_NAME)
            _refuse_other_process(run.jobs[-1], {"launchers.node", frozen})


def _names(command: Sequence[str]) -> set[str]:
    """The words of a command, and of those that are paths the last parts."""
    return {*command, *(Path(word).name for word in command)}


def _refuse_other_process(process: str, words: set[str]) -> None:
    """Raise SggError for a process whose command lacks these words."""
    command = command_line(process)
    if command is not None and words - _names(command):
        raise SggError(
            f"process {process.partition('@')[0]} is named as one of the sweep's, and is none. Nothing was "
            f"ended. Its command: {shlex.join(command)}"
        )
