"""The runs of a sweep on this machine: some at once, in order, each in a process of its own.

A failed run blocks only the runs that start from its model. Processes have
sessions of their own: they go on when this one is killed, and `sgg status` still knows them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import IO

from launchers import ACCEPTED, SILENT
from launchers.node.agent import check_machine
from launchers.node.signals import listening
from launchers.placement import NodePlacement
from launchers.slurm.queue import outside_jobs
from launchers.sweep.cancellation import cancelled_of
from launchers.sweep.code_snapshot import code_environment
from sgg.config.derived import gpus_per_node
from sgg.config.frozen import FROZEN_NAME
from sgg.config.schema import Config
from sgg.errors import SggError, Stopped
from sgg.files import opened
from sgg.models.weights import is_complete
from sgg.runs.exit_status import State, forget_exit_status, read_exit_status
from sgg.runs.lease import holder
from sgg.runs.process_id import process_id
from sgg.runs.sweep import CODE, RunRecord, SweepRecord, resume_command

_POLL_S = 0.2
PRINTED = "launch.log"
"""In the run folder: what the run printed, when it had no terminal to itself."""


@dataclass
class LocalSweep:
    """Runs that are to be done here."""

    folder: Path
    record: SweepRecord
    pending: list[RunRecord]
    gpus: int
    """GPUs of one run; 0 for none."""
    _active: dict[int, tuple[RunRecord, subprocess.Popen[bytes]]] = field(default_factory=dict)
    """By slot."""
    _codes: list[int] = field(default_factory=list)
    _told: dict[str, str] = field(default_factory=dict)
    """Run that was the first to end for a reason."""
    _received: list[int] = field(default_factory=list)
    _passed_on: int = 0

    def run(self) -> int:
        """Run all; the worst exit code.

        Raises:
            Stopped: a signal came; it was passed on, and the runs have saved and ended.

        """
        with listening() as self._received:
            while (self.pending and not self._received) or self._active:
                self._reap()
                self._pass_on()
                if not self._received:
                    self._drop_blocked()
                    self._fill()
                time.sleep(_POLL_S)
        if self._received:
            raise Stopped(f"Stopped. Resume with: {resume_command(self.folder)}", self._received[0])
        return max(self._codes, default=0)

    def _reap(self) -> None:
        for slot, (run, process) in list(self._active.items()):
            code = process.poll()
            if code is None:
                continue
            del self._active[slot]
            ended = "done" if code == 0 else f"ended with exit code {code}{self._why(run)}"
            print(f"{run.folder}: {ended}", flush=True)
            if self._may_try_again(run, code):
                forget_exit_status(self.folder / run.folder)
                self.pending.insert(0, run)
            else:
                self._codes.append(128 - code if code < 0 else code)

    def _may_try_again(self, run: RunRecord, code: int) -> bool:
        """Whether a run that failed has a start left; what a person stopped or must mend has none."""
        ending = read_exit_status(self.folder / run.folder)
        failed = ending.state is State.failed if ending is not None else True
        is_over = code in (0, 2) or not failed or self._received
        return not is_over and len(run.jobs) <= self.record.retries

    def _why(self, run: RunRecord) -> str:
        """Why a run ended; a reason that was printed of another run is not printed again."""
        ending = read_exit_status(self.folder / run.folder)
        if ending is None:
            owner = holder(self.folder / run.folder)
            is_other = owner is not None and owner.process != run.jobs[-1]
            return f": its folder is in use by {owner}" if is_other else ""
        first = self._told.setdefault(ending.shown, run.folder)
        return f", as {first} did" if first != run.folder else f":\n{indent(ending.shown, '  ')}"

    def _pass_on(self) -> None:
        """Signals go on to the runs; the second one kills."""
        for number in self._received[self._passed_on :]:
            for _, process in self._active.values():
                process.send_signal(signal.SIGKILL if self._passed_on else number)
            self._passed_on += 1

    def _drop_blocked(self) -> None:
        """Without the runs that were cancelled, or start from a model that will never be."""
        possible = {(run.point, run.step) for run, _ in self._active.values()}
        kept = []
        cancelled = cancelled_of(self.folder, self.pending)
        for run in self.pending:
            if run in cancelled:
                self._leave_out(run, "cancelled")
            elif self._has_model(run) or (run.point, run.after) in possible:
                kept.append(run)
                possible.add((run.point, run.step))
            else:
                self._leave_out(run, f"{run.after} did not finish")
        self.pending = kept

    def _leave_out(self, run: RunRecord, why: str) -> None:
        print(f"{run.folder}: left out, {why}", flush=True)
        self._codes.append(1)

    def _has_model(self, run: RunRecord) -> bool:
        return run.after is None or is_complete((self.folder / run.folder).parent / run.after)

    def _fill(self) -> None:
        free = [slot for slot in range(self.record.parallel) if slot not in self._active]
        for slot in free:
            run = next((r for r in self.pending if self._has_model(r)), None)
            if run is None:
                return
            self.pending.remove(run)
            self._active[slot] = run, self._start(run, slot)

    def _start(self, run: RunRecord, slot: int) -> subprocess.Popen[bytes]:
        run_dir = self.folder / run.folder
        print(f"{run.folder}: starting", flush=True)
        command = [sys.executable, "-m", "launchers.node", str(run_dir / FROZEN_NAME)]
        environment = {**outside_jobs(os.environ), **code_environment(self.folder / CODE)}
        environment |= {ACCEPTED: str(run_dir), SILENT: "1"}
        if self.gpus and self.record.parallel > 1:
            shares = gpu_shares(self.record.parallel, self.gpus)
            environment["CUDA_VISIBLE_DEVICES"] = shares[slot]
        with self._screen_of(run_dir) as screen:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=self.record.cwd,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT if screen else None,
                start_new_session=True,
            )
        run.jobs.append(process_id(process.pid))
        self.record.write(self.folder)
        if cancelled_of(self.folder, [run]):
            process.terminate()
        return process

    def _screen_of(self, run_dir: Path) -> AbstractContextManager[IO[bytes] | None]:
        """Where a run prints to: a file, or None for this terminal where it runs alone."""
        return nullcontext() if self.record.parallel == 1 else opened(run_dir / PRINTED, "ab")


def gpu_shares(parallel: int, gpus: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each slot; no GPU is in two of them.

    Raises:
        SggError: fewer are visible.

    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(i) for i in range(parallel * gpus)] if visible is None else visible.split(",")
    _enough(len(names), parallel, gpus)
    return [",".join(names[i * gpus : (i + 1) * gpus]) for i in range(parallel)]


def _enough(visible: int, parallel: int, gpus: int) -> None:
    if visible < parallel * gpus:
        raise SggError(
            f"hydra.launcher.parallel={parallel} runs of {gpus} GPUs want {parallel * gpus}, but "
            f"{visible} are visible (CUDA_VISIBLE_DEVICES). Take fewer at once."
        )


def check_local(config: Config, parallel: int) -> None:
    """Whether this machine can do it.

    Raises:
        SggError: it takes several nodes, more GPUs than are visible, or packages that are not here.

    """
    check_machine(config, NodePlacement.single())
    gpus = gpus_per_node(config)
    if gpus and parallel > 1:
        import torch

        _enough(torch.cuda.device_count(), parallel, gpus)
