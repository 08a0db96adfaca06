"""Where this supervisor is: alone on a machine, or one node of a Slurm job."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One node among those of a run."""

    node: int
    hosts: tuple[str, ...]
    port: int
    """Where rank 0 listens for the other ranks."""
    attempt: str = "local"
    """What tells this start of the run from earlier ones; the same on all nodes."""
    slurm_job: str | None = None

    @staticmethod
    def alone() -> Place:
        """This machine and no other; everything listens on loopback."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return Place(0, ("127.0.0.1",), port, attempt=f"local-{os.getpid()}")

    @staticmethod
    def here(environment: Mapping[str, str] = os.environ) -> Place:
        """The place that Slurm's step gives this process, or `alone`."""
        if "SLURM_STEP_ID" not in environment:
            return Place.alone()
        from submitit.slurm.slurm import SlurmJobEnvironment

        job, restart = environment["SLURM_JOB_ID"], environment.get("SLURM_RESTART_COUNT", "0")
        return Place(
            node=int(environment["SLURM_NODEID"]),
            hosts=tuple(SlurmJobEnvironment().hostnames),
            # all nodes must know it without talking; jobs and restarts on one host must not share it
            port=20000 + (7 * int(job) + int(restart)) % 10000,
            attempt=f"{job}-{restart}",
            slurm_job=job,
        )

    def requeue(self) -> str | None:
        """Ask Slurm to queue this job again; what went wrong, if anything did."""
        assert self.slurm_job is not None
        done = subprocess.run(
            ["scontrol", "requeue", self.slurm_job],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stderr.strip() or "no reason given" if done.returncode else None
