"""Who owns a run folder: the process of one start, as other processes and other hosts can tell it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sgg.runs.process_id import boot, is_alive, process_id, slurm_job


def _machine() -> str:
    """Boot and process namespace; empty where the system does not tell them."""
    with suppress(OSError):
        return f"{boot()} {Path('/proc/self/ns/pid').readlink()}"
    return ""


@dataclass(frozen=True)
class Owner:
    """One start of a run."""

    host: str = field(default_factory=platform.node)
    machine: str = field(default_factory=_machine)
    """Where this and the host are equal, a process number means the same process."""
    user: int = field(default_factory=os.getuid)
    process: str = field(default_factory=process_id)
    """See `process_id.process_id`."""
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """Time by the clock of `host`, ISO 8601."""
    job: str | None = field(default_factory=slurm_job)
    """The job that the process belongs to, as Slurm's commands take it."""
    restart: int = field(default_factory=lambda: int(os.environ.get("SLURM_RESTART_COUNT", "0")))
    """How often Slurm has started that job again."""
    folder: str = ""
    """What it owns, with all links followed: a copy of the folder has a copy of its lease files."""
    attempt: str = ""
    """What the nodes of one start have in common; see `launchers.placement.NodePlacement`."""
    took_over: str = ""
    """Whose lease this start has taken over, and why; empty where the folder was free."""

    @property
    def pid(self) -> str:
        """The process number."""
        return self.process.partition("@")[0]

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"

    def way_to_end(self) -> str:
        """The command that has it save and end."""
        return f"scancel {self.job}" if self.job else f"kill {self.pid} (on {self.host})"

    def shares_processes_with(self, other: Owner) -> bool:
        """Whether one can look up the other's process by its number."""
        mine, others = ((o.host, o.machine, o.user) for o in (self, other))
        return mine == others

    def runs(self) -> bool:
        """Whether its process still runs; to be asked only where `shares_processes_with` holds."""
        return is_alive(self.process)

    def is_restart_of(self, other: Owner) -> bool:
        """Whether Slurm has ended the other's start of this very job."""
        return self.job is not None and self.job == other.job and self.restart > other.restart
