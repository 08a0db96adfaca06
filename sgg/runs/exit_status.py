"""How a run ended: one small file in the run folder, for people, for `sgg status` and for other nodes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from sgg.errors import Stopped
from sgg.explain.exceptions import explain, what_is_full
from sgg.explain.exit_codes import exit_code
from sgg.files import as_json, read_record, write_first, write_json
from sgg.runs.requeue import forget_requests, refusal

ENDING = "exit.json"
_SHOWN = 240
"""Longest line of a reason in a table."""


class State(Enum):
    """The ways to end."""

    finished = "finished"
    failed = "failed"
    stopped = "stopped"
    """By a signal; it can be resumed."""


@dataclass(frozen=True)
class ExitStatus:
    """The content of the file."""

    state: State
    code: int
    """Exit code: 0 finished, 2 a user's mistake, 128 + N stopped by signal N, else 1."""
    reason: str
    attempt: str = ""
    """Which start of the run ended; see `launchers.placement.NodePlacement`."""
    job: str | None = None
    """Slurm's id of the job, ARRAY_INDEX."""
    host: str = ""
    """Node on which it ended first."""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def shown(self) -> str:
        """The reason for a table: a user's mistake whole, as it names the way out; else what fits there.

        That is the first two lines, the error and where it was, without what would wrap.
        """
        lines = self.reason.strip().splitlines() or [""]
        if self.code == 2:
            return "\n".join(lines)
        return "\n".join(s if len(s) <= _SHOWN else f"{s[:_SHOWN]}…" for s in lines[:2])

    def write(self, run_dir: Path, instead: bool = False) -> None:
        """Leave the file, whole.

        When one node fails, all of them end, so the first message of a start stands; but an earlier start has
        no say, and a run is not finished when one of its nodes has failed. On a full disk nothing is left:
        that is what the run's last message is about.

        Args:
            instead: this is what became of the stop that the file names: the run is not queued again.

        """
        path, content = run_dir / ENDING, {**asdict(self), "state": self.state.name}
        try:
            is_first = write_first(path, as_json(content).encode())
            if not is_first and self._outweighs(read_exit_status(run_dir), instead):
                write_json(path, content)
        except OSError as error:
            if what_is_full(error) is None:
                raise

    def _outweighs(self, there: ExitStatus | None, instead: bool) -> bool:
        if there is None or there.attempt != self.attempt:
            return True
        if instead and there.state is State.stopped:
            return True
        return there.state is State.finished and self.state is not State.finished


def exit_status_of(error: Exception) -> ExitStatus:
    """How a run ends by an error that leaves it: failed, or stopped where a signal is behind it."""
    state = State.stopped if isinstance(error, Stopped) else State.failed
    return ExitStatus(state, exit_code(error), explain(error) or f"{type(error).__name__}: {error}")


def read_exit_status(run_dir: Path) -> ExitStatus | None:
    """How the run ended; None while it runs, or when it was killed before it could say so.

    Raises:
        SggError: exit.json has another form.
        OSError: it is a symbolic link.

    """
    ending = read_record(run_dir / ENDING, ExitStatus)
    if ending is None:
        return None
    if ending.state is State.stopped and (why := refusal(run_dir)):
        reason = f"Slurm did not queue it again: {why}\n{ending.reason}"
        return replace(ending, state=State.failed, code=1, reason=reason)
    return ending


def forget_exit_status(run_dir: Path, attempt: str | None = None) -> None:
    """A new start: the run has not ended, unless another node of this very attempt says so."""
    there = read_exit_status(run_dir)
    if there is None or attempt is None or there.attempt != attempt:
        (run_dir / ENDING).unlink(missing_ok=True)
        forget_requests(run_dir)
