"""`sgg cancel`: ends what a sweep has queued or running."""

from __future__ import annotations

import signal
from pathlib import Path

from launchers.consent import refuse_strange_sweep
from launchers.slurm.queue import end_jobs
from launchers.sweep.cancellation import mark_cancelled
from launchers.sweep.status import ACTIVE, status_of
from sgg.errors import SggError
from sgg.runs.process_id import send
from sgg.runs.sweep import read_sweep


def cancel_sweep(folder: Path, trust: bool = False) -> int:
    """End what is queued or running; the number of runs that were. What is finished stays.

    Args:
        folder: of the sweep, or of a part of it.
        trust: whether the user takes a sweep that is not signed for theirs.

    Raises:
        SggError: it is not the user's, or cannot be reached from this machine.

    """
    folder = folder.resolve()
    status = status_of(folder)
    if status.record is None:
        raise SggError(f"{folder}: no sweep there; a run in a terminal is stopped by Ctrl-C.")
    if not trust:
        refuse_strange_sweep(status.folder, status.record, ["sgg", "cancel", str(folder)])
    if status.note:
        raise SggError(f"{folder}: {status.note} Cancel it there.")
    unfinished = [s for s in status.runs if s.state != "finished"]
    mark_cancelled(status.folder, [s.run for s in unfinished])
    record = read_sweep(status.folder)  # whose owner may have started more since
    jobs = {(run.point, run.step): run.jobs for run in record.runs}
    active = [
        jobs[s.run.point, s.run.step]
        for s in unfinished
        if s.state in ACTIVE or s.run.jobs != jobs[s.run.point, s.run.step]
    ]
    newest = [started[-1] for started in active if started]
    if record.launcher == "slurm":
        if newest:
            end_jobs(newest)
    elif status.folder != folder or not send(record.process, signal.SIGTERM):
        for process in newest:
            send(process, signal.SIGTERM)
    return len(active)
