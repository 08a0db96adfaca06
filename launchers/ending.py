"""How a run ended: one small file in the run folder, for people, for `sgg status` and for other nodes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

ENDING = "exit.json"
_SHOWN = 150
"""Longest line of a reason in a table."""


class State(Enum):
    """The ways to end."""

    finished = "finished"
    failed = "failed"
    stopped = "stopped"
    """By a signal; it can be gone on with."""


@dataclass(frozen=True)
class Ending:
    """What stands in the file."""

    state: State
    code: int
    """Exit code: 0 finished, 2 a user's mistake, 128 + N stopped by signal N, else 1."""
    reason: str
    attempt: str = ""
    """Which start of the run ended; see `place.Place`."""
    job: str | None = None
    """Slurm's id of the job."""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def shown(self) -> str:
        """The reason for a table: a user's mistake whole, as it names the way out; else what fits there.

        That is the first line and the last, where an error names itself, without what would wrap.
        """
        lines = self.reason.strip().splitlines() or [""]
        if self.code == 2:
            return "\n".join(lines)
        kept = [lines[0], *lines[1:][-1:]]
        return "\n".join(s if len(s) <= _SHOWN else f"{s[:_SHOWN]}…" for s in kept)

    def write(self, run_dir: Path) -> None:
        """Leave the file, whole.

        When one node fails, all of them end, so the first word of a start stands; but an earlier start has
        no say, and a run is not finished when one of its nodes has failed.
        """
        partial = run_dir / f"{ENDING}.{os.uname().nodename}.{os.getpid()}"
        partial.write_text(json.dumps({**asdict(self), "state": self.state.name}, indent=1) + "\n")
        try:
            os.link(partial, run_dir / ENDING)
        except FileExistsError:
            if self._outweighs(read_ending(run_dir)):
                partial.replace(run_dir / ENDING)
        finally:
            partial.unlink(missing_ok=True)

    def _outweighs(self, there: Ending | None) -> bool:
        if there is None or there.attempt != self.attempt:
            return True
        finished = State.finished
        return there.state is finished and self.state is not finished


def read_ending(run_dir: Path) -> Ending | None:
    """How the run ended; None while it runs, or when it was killed before it could say so."""
    try:
        content = json.loads((run_dir / ENDING).read_text())
    except FileNotFoundError:
        return None
    return Ending(**{**content, "state": State[content["state"]]})


def forget_ending(run_dir: Path, attempt: str | None = None) -> None:
    """A new start: the run has not ended, unless another node of this very attempt says so."""
    there = read_ending(run_dir)
    if there is not None and (attempt is None or there.attempt != attempt):
        (run_dir / ENDING).unlink(missing_ok=True)
