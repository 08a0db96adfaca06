"""Where this supervisor is: alone on a machine, or one node of a Slurm job."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One node among those of a run."""

    node: int
    hosts: tuple[str, ...]
    port: int
    """Where rank 0 listens for the other ranks."""
    server_port: int = 8000
    """Where a rollout server of a node listens; there is at most one on a node."""
    attempt: str = "local"
    """What tells this start of the run from earlier ones; the same on all nodes."""
    slurm_job: str | None = None

    @staticmethod
    def alone() -> Place:
        """This machine and no other; everything listens on loopback."""
        attempt = f"local-{os.getpid()}-{time.time_ns()}"
        return Place(0, ("127.0.0.1",), *_free_ports(), attempt=attempt)

    @staticmethod
    def here(environment: Mapping[str, str] = os.environ) -> Place:
        """The place that Slurm's step gives this process, or `alone`."""
        if "SLURM_STEP_ID" not in environment:
            return Place.alone()
        from submitit.slurm.slurm import SlurmJobEnvironment

        job, restart = environment["SLURM_JOB_ID"], environment.get("SLURM_RESTART_COUNT", "0")
        # all nodes must know it without talking; jobs and restarts on one host must not share it
        own = (7 * int(job) + int(restart)) % 5000
        return Place(
            node=int(environment["SLURM_NODEID"]),
            hosts=tuple(SlurmJobEnvironment().hostnames),
            port=20000 + own,
            server_port=25000 + own,
            attempt=f"{job}-{restart}",
            slurm_job=job,
        )

    def is_preempted(self) -> bool:
        """Whether Slurm is ending this job in favour of another."""
        assert self.slurm_job is not None
        shown = _scontrol("show", "job", "--oneliner", self.slurm_job).stdout
        when = re.search(r"\bPreemptTime=(\S+)", shown)
        return when is not None and when[1] not in ("None", "N/A", "Unknown")

    def requeue(self) -> str | None:
        """Ask Slurm to queue this job again; what went wrong, if anything did."""
        assert self.slurm_job is not None
        done = _scontrol("requeue", self.slurm_job)
        return done.stderr.strip() or "no reason given" if done.returncode else None


def _free_ports() -> tuple[int, int]:
    """Of those that the system gives to nobody by itself: it may be a while until they are taken."""
    while True:
        one, other = random.SystemRandom().sample(range(20000, 30000), 2)
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", one))
            second.bind(("127.0.0.1", other))
            return one, other


def _scontrol(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scontrol", *words], capture_output=True, text=True, timeout=60, check=False
    )
