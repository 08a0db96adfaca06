"""How the runs of a folder stand: read from their files, and asked of Slurm where that can be done.

Works for a sweep, a point, a pipeline and a run; while jobs run, without accounting, after the launcher
is gone, and on a machine without Slurm, where it says what it cannot know.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from launchers.node.last_output import error_in, last_line
from launchers.slurm.queue import JobState, ask_slurm
from launchers.slurm.script import log_name
from launchers.sweep.cancellation import cancelled_of
from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import read_end
from sgg.models.weights import is_complete
from sgg.runs.exit_status import ExitStatus, read_exit_status
from sgg.runs.exit_status import State as Ended
from sgg.runs.folder import PIPELINE
from sgg.runs.lease import holder
from sgg.runs.owner import Owner
from sgg.runs.process_id import is_alive
from sgg.runs.records import read_pipeline, read_starts
from sgg.runs.sweep import SLURM, RunRecord, SweepRecord, read_sweep, sweep_of

_TAIL = 20_000
"""Bytes of a log that are searched for an error."""

ACTIVE = ("queued", "running")
"""States that change by themselves."""


@dataclass(frozen=True)
class RunStatus:
    """One line of the table."""

    run: RunRecord
    state: str
    """queued, running, finished, failed, stopped, cancelled, lost, or unknown from this machine."""
    reason: str = ""
    ending: ExitStatus | None = None
    held: bool = False
    """Queued until a person releases its job."""


@dataclass(frozen=True)
class FolderStatus:
    """All runs below a folder."""

    folder: Path
    record: SweepRecord | None
    """None for runs that no sweep started."""
    runs: list[RunStatus]
    note: str = ""
    """What could not be known, and why."""

    def run_dir(self, status: RunStatus) -> Path:
        """The folder of one of the runs."""
        return self.folder / status.run.folder

    @property
    def can_go_on(self) -> bool:
        """Whether `sgg resume` has something to do here, and nobody is at work."""
        states = {status.state for status in self.runs}
        queued = {"queued"} if self.record is not None else set()  # else only not started yet
        if states == {"finished"} or states & {"running", "unknown", *queued}:
            return False
        owner = holder(self.folder)
        return owner is None or (Owner().shares_processes_with(owner) and not owner.runs())


AskSlurm = Callable[[Collection[str]], dict[str, JobState] | None]
"""What `ask_slurm` does."""


def status_of(folder: Path, ask: AskSlurm = ask_slurm) -> FolderStatus:
    """The status of a sweep, or of what lies in one.

    Args:
        ask: gives the states of jobs, for who looks often.

    Raises:
        SggError: nothing that sgg has started is there.

    """
    sweep = sweep_of(folder)
    if sweep is None:
        return _without_sweep(folder)
    record = read_sweep(sweep)
    whole = folder.resolve()
    ours = [run for run in record.runs if (sweep / run.folder).is_relative_to(whole)]
    if not ours:
        raise SggError(f"{folder}: no run of the sweep {sweep} lies there.")
    # of all runs, since how one stands depends on those before it
    if record.launcher == "slurm":
        jobs = ask({run.jobs[-1] for run in record.runs if run.jobs})
    else:
        jobs = _processes(record)
    cancelled = {(run.point, run.step) for run in cancelled_of(sweep, record.runs)}
    known = _Known(sweep, record, jobs, cancelled)
    statuses: dict[tuple[int, str], RunStatus] = {}
    for run in record.runs:
        before = statuses.get((run.point, run.after or ""))
        statuses[run.point, run.step] = _status(known, run, before)
    chosen = [status for status in statuses.values() if status.run in ours]
    return FolderStatus(sweep, record, chosen, _note(record, jobs))


def _processes(record: SweepRecord) -> dict[str, JobState] | None:
    """The local launcher's processes as states of a queue; None on another machine."""
    if record.host != platform.node():
        return None
    return {
        run.jobs[-1]: JobState("RUNNING")
        for run in record.runs
        if run.jobs and is_alive(run.jobs[-1])
    }


@dataclass(frozen=True)
class _Known:
    """What is known of all runs of a sweep besides their own files."""

    sweep: Path
    record: SweepRecord
    jobs: dict[str, JobState] | None
    """By job id; None where they cannot be asked."""
    cancelled: set[tuple[int, str]]
    """Point and step of runs that `sgg cancel` has marked."""


def _status(known: _Known, run: RunRecord, before: RunStatus | None) -> RunStatus:
    """In this order: running, finished by its files, queued, everything else.

    Args:
        before: the run whose model this one starts from.

    """
    run_dir = known.sweep / run.folder
    ending, unread = _ending(run_dir)
    job = (known.jobs or {}).get(run.jobs[-1]) if run.jobs else None
    if job is not None and job.is_running:  # also one that is finished and writes its report
        return RunStatus(run, "running", job.reason, ending)
    if ending is not None and ending.state is Ended.finished:
        return RunStatus(run, "finished", ending=ending)
    if job is not None and job.is_waiting:
        reason = job.reason or (job.state if job.is_held else "")
        return RunStatus(run, "queued", reason, ending, job.is_held)
    if is_complete(run_dir):
        return RunStatus(run, "finished", ending=ending)
    if unread:
        return RunStatus(run, "unknown", unread)
    if ending is not None:
        by_slurm = job is not None and job.state == "CANCELLED"
        cancelled = by_slurm or (run.point, run.step) in known.cancelled
        was_cancelled = cancelled and ending.state is Ended.stopped
        state = "cancelled" if was_cancelled else ending.state.name
        return RunStatus(run, state, ending.reason, ending)
    if job is not None:
        words, state = f"Slurm: {job.state} {job.reason}".strip(), _ended(job)
        said = _last_output(known.sweep, run.jobs[-1]) if state == "failed" else ""
        return RunStatus(run, state, f"{said}\n{words}" if said else words)
    return _unheard(known, run, before)


def _ending(run_dir: Path) -> tuple[ExitStatus | None, str]:
    """How a run ended, or why that cannot be read: as of an earlier version, which hides no other run."""
    try:
        return read_exit_status(run_dir), ""
    except (SggError, OSError) as error:
        return None, explain(error) or str(error)


def _ended(job: JobState) -> str:
    words = {
        "CANCELLED": "cancelled",
        "TIMEOUT": "stopped",
        "PREEMPTED": "stopped",
        "NODE_FAIL": "lost",
    }
    return words.get(job.state, "failed")


def _unheard(known: _Known, run: RunRecord, before: RunStatus | None) -> RunStatus:
    """Neither the run nor Slurm says anything."""
    by_slurm = known.record.launcher == "slurm"
    if known.jobs is None:
        return RunStatus(run, "unknown", "not to be known from this machine")
    if before is not None and before.state not in (*ACTIVE, "finished"):
        return RunStatus(run, "cancelled", f"{run.after} is {before.state}")
    if (run.point, run.step) in known.cancelled:
        return RunStatus(run, "cancelled", "by sgg cancel")
    if not by_slurm and not run.jobs and is_alive(known.record.process):
        return RunStatus(run, "queued")
    if by_slurm and run.jobs and not _has_begun(known.sweep, run.jobs[-1]):
        # Slurm keeps nothing of a task that is taken out of its array before it starts
        return RunStatus(run, "cancelled", "taken out of Slurm's queue before it began")
    if run.jobs:
        return RunStatus(run, "lost", "its process ended without writing exit.json")
    return RunStatus(run, "lost", "not submitted" if by_slurm else "not started")


def _has_begun(sweep: Path, job: str) -> bool:
    """Whether Slurm has started a job: its batch script's output is the first thing that it makes."""
    return (sweep / SLURM / log_name(job)).is_file()


def _last_output(sweep: Path, job: str) -> str:
    """The error that a job printed, or its last line; all there is where it failed before the run began."""
    path = sweep / SLURM / log_name(job)
    if not path.is_file():
        return ""
    lines = read_end(path, _TAIL).split("\n")
    said = "\n".join(
        line for line in lines if not line.startswith("srun: ")
    )  # which tells the code
    return error_in(said) or last_line(said)


def _note(record: SweepRecord, jobs: dict[str, JobState] | None) -> str:
    if jobs is not None:
        return ""
    if record.launcher == "slurm":
        return "Slurm cannot be asked from here: what is queued, running or lost is not known."
    return f"The sweep runs on {record.host}: what is queued, running or lost is known there."


def _without_sweep(folder: Path) -> FolderStatus:
    """A run or a pipeline that was started in a terminal."""
    if pipeline := read_pipeline(folder):
        names = pipeline.steps
    elif (folder / FROZEN_NAME).is_file():
        names = [""]
    else:
        raise SggError(
            f"{folder}: no sweep, pipeline or run there (no sweep.json, {PIPELINE} or {FROZEN_NAME})."
        )
    runs = [RunRecord(0, name, None, name) for name in names]
    return FolderStatus(folder, None, [_started_by_hand(folder / r.folder, r) for r in runs])


def _started_by_hand(run_dir: Path, run: RunRecord) -> RunStatus:
    ending, unread = _ending(run_dir)
    if is_complete(run_dir):
        return RunStatus(run, "finished", ending=ending)
    if unread:
        return RunStatus(run, "unknown", unread)
    if ending is not None:
        return RunStatus(run, ending.state.name, ending.reason, ending)
    try:
        known = read_starts(run_dir)
    except (SggError, OSError) as error:
        return RunStatus(run, "unknown", explain(error) or str(error))
    if not known:
        return RunStatus(run, "queued", "not started yet")
    last = known[-1]
    if last.host != platform.node():
        return RunStatus(run, "unknown", f"it runs, or ran, on {last.host}")
    if last.process is None:
        return RunStatus(
            run, "unknown", "the version of sgg that started it did not record its process"
        )
    if is_alive(last.process):
        return RunStatus(run, "running")
    return RunStatus(run, "stopped", "killed, or its machine went down")
