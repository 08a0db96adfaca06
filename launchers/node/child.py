"""One started process of a node: its log, its end, and that it does not outlive its supervisor."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import IO, Any

from launchers.node.last_output import MESSAGE, error_in, last_line, lines_of, mistake_in
from launchers.process_plan import Process
from sgg.files import make_output_folder, opened
from sgg.runs.folder import COMMAND_VARIABLE, command
from sgg.runs.users_secret import place_of_secret

LOGS = "logs"
_LAST_LINES = 20
_TAIL = 20_000
"""Bytes that the last lines are looked for in."""
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


class Child:
    """A started process and its log."""

    def __init__(
        self, process: Process, run_dir: Path, shown: bool, secrets: Mapping[str, str]
    ) -> None:
        self.process = process
        self._secrets = secrets
        self.log = run_dir / LOGS / f"{process.name}.log"
        self.starts = 0
        self._shown = shown
        self._offset = 0
        self._tail = b""
        self.start()

    def start(self) -> None:
        """Start, or start again."""
        make_output_folder(self.log.parent)
        self._offset = self.log.stat().st_size if self.log.is_file() else 0
        self.starts += 1
        self._tail = b""
        with opened(self.log, "ab") as file:
            self._popen = subprocess.Popen(
                self.process.command,
                env={**_environment(self.process), **self._secrets},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._shown else file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C comes through us only
                preexec_fn=partial(_prepare, os.getpid(), deaf=self.process.is_server),
            )
        if self._shown:
            self._tee = Thread(target=self._copy, args=(self._popen.stdout,), daemon=True)
            self._tee.start()

    @property
    def code(self) -> int | None:
        """Exit code; negative for a signal; None while it runs."""
        return self._popen.poll()

    def send(self, number: int) -> None:
        """A signal, if it still runs."""
        if self.code is None:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """End it and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def last_lines(self) -> str:
        """The end of what this start has said."""
        return "\n".join(f"  | {line}" for line in lines_of(self._said())[-_LAST_LINES:])

    def error(self) -> str:
        """The error that this start named, in a line; empty for none."""
        return error_in(self._said())

    def last_line(self) -> str:
        """The last thing that this start said, progress bars apart."""
        return last_line(self._said())

    def message(self) -> str:
        """What this start said of a user's mistake; empty for none."""
        return mistake_in(self._said())

    def _said(self) -> str:
        if self._shown:
            self._tee.join(timeout=2)
            return self._tail.decode(errors="replace")
        with self.log.open("rb") as file:
            file.seek(max(self._offset, self.log.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")

    def _copy(self, stream: Any) -> None:
        """All to the log; to the screen all but a last message, which is printed by who started the run."""
        screen: IO[bytes] = sys.stderr.buffer
        with opened(self.log, "ab") as file:
            while block := stream.read1(1 << 16):
                self._tail = (self._tail + block)[-_TAIL:]
                with suppress(OSError):  # a full disk, which the process itself reports
                    file.write(block)
                    file.flush()
                before, mark, _ = (b"\n" + block.replace(b"\r", b"\n")).partition(MESSAGE.encode())
                with suppress(BrokenPipeError):  # the run goes on where its screen has gone
                    screen.write(block[: max(0, len(before) - 1)] if mark else block)
                    screen.flush()
                if mark:
                    screen = io.BytesIO()


def _environment(process: Process) -> dict[str, str]:
    """This process's environment with the child's; GPUs counted among those that are visible here."""
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    inherited[COMMAND_VARIABLE] = command()
    inherited["PYTHONUNBUFFERED"] = "1"
    inherited["PYTHONSAFEPATH"] = "1"  # the code is ours, not what lies in the current folder
    if process.visible_gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(i) for i in range(64)]
        inherited["CUDA_VISIBLE_DEVICES"] = ",".join(names[i] for i in process.visible_gpus)
    return {**inherited, **process.environment, **place_of_secret()}


def _prepare(parent: int, deaf: bool) -> None:
    """In the child: end when the supervisor is killed, so that no rank is left on a node's GPUs.

    Slurm signals every process of a step; a server must live on for the step that is being saved.
    """
    if deaf:
        # blocked, not ignored: what is started may have handlers of its own
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR2, signal.SIGTERM))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before it could be watched
        os._exit(1)
