"""What can be done with a sweep: start it, resume it, wait for it; `cancel.py` ends it.

`slurm` and `local` differ only in how runs are started; points, folders, record and table are the same.
"""

from __future__ import annotations

import gc
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from launchers.consent import require_consent
from launchers.kinds import checked_config
from launchers.local import owned
from launchers.process_plan import interpreter, make_plan
from launchers.slurm.arrays import ConfigOf, arrays, write_runs_file
from launchers.slurm.queue import end_jobs
from launchers.slurm.script import (
    NothingSubmitted,
    batch_script,
    make_slurm_folder,
    named_jobs,
    require_sbatch,
    require_slurm,
    submit,
)
from launchers.sweep.cancellation import (
    cancelled_files,
    cancelled_of,
    forget_cancelled,
)
from launchers.sweep.changes import change_jobs
from launchers.sweep.code_snapshot import take_snapshot
from launchers.sweep.local import LocalSweep, check_local
from launchers.sweep.points import Point, compose_points, refuse_another_sweep, sweep_folders
from launchers.sweep.status import ACTIVE, RunStatus, status_of
from launchers.sweep.status_table import status_table
from launchers.sweep.wait import wait
from sgg.config.compose import Composer
from sgg.config.derived import gpus_per_node
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.errors import Failed, SggError, counted
from sgg.explain.exceptions import explain
from sgg.files import make_output_folder, put_back
from sgg.plan.opening import opening
from sgg.runs.code_digest import forget_bytecode
from sgg.runs.exit_status import ENDING, forget_exit_status
from sgg.runs.folder import made
from sgg.runs.process_id import process_id
from sgg.runs.requeue import FAILURES, forget_failures
from sgg.runs.search import read_search
from sgg.runs.sweep import CODE, SWEEP, RunRecord, SweepRecord, read_sweep, resume_command, sweep_of


@dataclass(frozen=True)
class LaunchOptions:
    """How a sweep's points are started: hydra.launcher."""

    launcher: str
    """slurm or local."""
    parallel: int
    """Points at once."""
    retries: int = 0
    """How many times a failed run is restarted automatically."""
    wait: bool = True
    """Stay until all have ended; local sweeps always do."""

    def check(self, config: Config) -> None:
        """Raise SggError for a config that this launcher cannot start."""
        if self.launcher == "local":
            check_local(config, self.parallel)


def start_sweep(lines: Sequence[list[str]], launching: LaunchOptions) -> Path:
    """Compose, check and freeze all points, then start them; returns the sweep's folder.

    Raises:
        SggError: some points cannot run, and none was started; or some have failed.

    """
    for name, lowest in (("parallel", 1), ("retries", 0)):
        value = getattr(launching, name)
        if not isinstance(value, int) or value < lowest:
            raise SggError(
                f"hydra.launcher.{name}={value}: must be a whole number, {lowest} or more."
            )
    composer = Composer()
    first = first_that_composes(lines, composer)
    for folder in sweep_folders(first):
        if launching.launcher == "slurm" and not first.dry_run:
            require_slurm(folder, len(lines))
        points = compose_points(lines, composer, folder, launching.check, launching.launcher)
        if first.dry_run or first.paths.sweep_dir or made(folder):
            break
    gc.enable()  # `main` does without while composing; waiting may take days
    record = new_record(lines, launching, points, folder)
    configs = {(p.number, s.name): s.config for p in points for s in p.steps}
    if first.dry_run:
        _describe(folder, record, lambda run: configs[run.point, run.step])
        return folder
    make_output_folder(folder)
    with owned(folder):  # while it starts runs; waiting for Slurm writes nothing
        refuse_another_sweep(folder)  # which may have been started meanwhile
        for point in points:
            point.write_frozen()
        take_snapshot(folder / CODE, configs.values())
        record.sign(folder)
        record.sign_launch(folder)
        record.write(folder)
        print(f"{_size(record)} in {folder}", flush=True)
        launch_runs(folder, record, record.runs, lambda run: configs[run.point, run.step])
    _after_launch(folder, launching)
    return folder


def first_that_composes(lines: Sequence[list[str]], composer: Composer) -> Config:
    """The first point whose config composes: it names the sweep's folder. Other errors are reported later."""
    for line in lines[:-1]:
        try:
            return composer.compose(line)
        except Exception as error:
            if explain(error) is None:
                raise
    return composer.compose(lines[-1])


@dataclass(frozen=True)
class Resuming:
    """What `sgg resume SWEEP_DIR` may say anew; None for as before."""

    parallel: int | None = None
    retries: int | None = None
    wait: bool = False
    changes: tuple[str, ...] = ()
    """Overrides that change what jobs ask of Slurm."""
    trust: bool = False
    """Whether the user accepts a sweep that is not theirs."""

    @property
    def arguments(self) -> list[str]:
        """Of the command line, without trust=true."""
        numbers = {"parallel": self.parallel, "retries": self.retries}
        given = [f"{key}={value}" for key, value in numbers.items() if value is not None]
        return [*given, *(["wait=true"] if self.wait else []), *self.changes]


def resume_sweep(folder: Path, how: Resuming) -> None:
    """Start again what is not finished, not queued and not running, from its newest checkpoints.

    Raises:
        SggError: there is no sweep, it is not the user's, another process is starting its runs, or
            something cannot change.

    """
    sweep = sweep_of(folder)
    if sweep is None:
        raise SggError(f"{folder}: no sweep there.")
    if found := read_search(sweep):
        print(found.note(len(read_sweep(sweep).points)), flush=True)
    with owned(sweep):
        launching = _start_again(folder, how)
    _after_launch(sweep, launching)


def _start_again(part: Path, how: Resuming) -> LaunchOptions:
    status = status_of(part)
    folder, record = status.folder, status.record
    assert record is not None
    if record.launcher == "slurm":
        require_sbatch()
    if status.note:
        raise SggError(f"{folder}: {status.note} Resume it there.")
    todo = [s.run for s in status.runs if s.state not in (*ACTIVE, "finished")]
    runs = [folder / run.folder for run in todo]
    command = ["sgg", "resume", str(part), *how.arguments]
    require_consent(runs, command, how.trust, (folder, record))
    forget_bytecode(folder / CODE)  # which is not signed
    print(f"Starting {len(todo)} of {len(record.runs)} runs of {folder} again.", flush=True)
    touched = [folder / SWEEP, *cancelled_files(folder, todo)]
    touched += [
        folder / run.folder / name for run in todo for name in (FROZEN_NAME, ENDING, FAILURES)
    ]
    with put_back(touched, after=NothingSubmitted):
        said = ""
        if how.changes:
            active = sum(s.state in ACTIVE for s in status.runs)
            said = change_jobs(folder, record, todo, active, how.changes)
        else:
            for run in todo:
                checked_config(folder / run.folder)
        record.parallel = how.parallel or record.parallel
        record.retries = record.retries if how.retries is None else how.retries
        forget_cancelled(folder, todo)
        for run in todo:
            forget_exit_status(folder / run.folder)
            forget_failures(folder / run.folder)
            if record.launcher == "local":
                run.jobs.clear()  # a process that is gone; Slurm's ids stay for its records
        record.host, record.process = platform.node(), process_id()
        record.sign_launch(folder)
        record.write(folder)
        launch_runs(
            folder, record, todo, lambda run: read_frozen(folder / run.folder / FROZEN_NAME)
        )
    if said:
        print(said, flush=True)
    return LaunchOptions(record.launcher, record.parallel, record.retries, wait=how.wait)


def new_record(
    lines: Sequence[list[str]], launching: LaunchOptions, points: list[Point], folder: Path
) -> SweepRecord:
    """The record of a sweep of these points, which this process starts."""
    return SweepRecord(
        launcher=launching.launcher,
        parallel=launching.parallel,
        cwd=str(Path.cwd()),
        submitted=datetime.now(UTC).isoformat(timespec="seconds"),
        overrides=sorted(set(lines[0]).intersection(*lines)),
        points=[point.record for point in points],
        runs=[run for point in points for run in point.runs(folder)],
        host=platform.node(),
        process=process_id(),
        retries=launching.retries,
    )


def launch_runs(
    folder: Path, record: SweepRecord, runs: list[RunRecord], config_of: ConfigOf
) -> None:
    """Run these to their end here, or submit them."""
    if record.launcher == "local":
        gpus = max((gpus_per_node(config_of(run)) for run in runs), default=0)
        LocalSweep(folder, record, list(runs), gpus).run()
        return
    make_slurm_folder(folder)
    left = {(run.point, run.step): run for run in runs}
    for array, chosen in arrays(folder, record, runs, config_of):
        if len(cancelled_of(folder, left.values())) == len(left):
            print(f"{len(left)} runs were cancelled meanwhile and are not submitted.", flush=True)
            return
        write_runs_file(array, record)
        job = submit(array, others=len(left) < len(runs))
        for run in chosen:
            run.jobs.append(f"{job}_{run.point}")
            del left[run.point, run.step]
        record.write(folder)
        print(f"{array.step}: job {job}, {counted(len(chosen), 'run')}", flush=True)
        if cancelled := cancelled_of(folder, chosen):
            end_jobs(named_jobs(folder, cancelled))


def _size(record: SweepRecord) -> str:
    return f"{counted(len(record.points), 'point')}, {counted(len(record.runs), 'run')}"


def _describe(folder: Path, record: SweepRecord, config_of: ConfigOf) -> None:
    """dry_run: what would be started, for each kind of run; writes nothing."""
    print(f"{_size(record)}; would be in {folder}")
    for array, chosen in arrays(folder, record, record.runs, config_of):
        run_dir = folder / chosen[0].folder
        names = ", ".join(record.points[run.point].name for run in chosen[:3])
        more = f" and {len(chosen) - 3} more" if len(chosen) > 3 else ""
        print(f"\n== {array.step}: {len(chosen)} runs ({names}{more})")
        print(opening(array.config))
        slurm = array.config.hardware.slurm
        python = interpreter(slurm) if record.launcher == "slurm" else sys.executable
        print(make_plan(array.config, run_dir / FROZEN_NAME, python=python).describe())
        if record.launcher == "slurm":
            print(f"-- {array.script().name}\n{batch_script(array)}")


def _after_launch(folder: Path, launching: LaunchOptions) -> None:
    if launching.launcher == "slurm":
        print(f"Look at it with: sgg status {folder}", flush=True)
        if not launching.wait:
            return
        wait(folder)
    status = status_of(folder)
    is_told = launching.launcher == "local"  # as the runs ended
    print(f"\n{status_table(status, reasons=not is_told)}", flush=True)
    bad = [s for s in status.runs if s.state != "finished"]
    if bad:
        raise Failed(
            f"{len(bad)} of {len(status.runs)} runs did not finish. Start them again with: "
            + resume_command(folder),
            max(_code(s) for s in bad),
        )


def _code(status: RunStatus) -> int:
    return status.ending.code if status.ending is not None and status.ending.code else 1
