"""Where this supervisor is: alone on a machine, or one node of a Slurm job."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from sgg.runs.process_id import slurm_job

BEGAN = "SGG_JOB_BEGAN"
"""Set by the batch script: when it began, seconds since 1970 by the clock of its node."""


@dataclass(frozen=True)
class NodePlacement:
    """One node among those of a run."""

    node: int
    hosts: tuple[str, ...]
    attempt: str = "local"
    """What distinguishes this start of the run from earlier ones; the same on all nodes."""
    slurm_job: str | None = None
    """The job, ARRAY_INDEX, if its batch script is ours and can queue it again."""

    @staticmethod
    def single() -> NodePlacement:
        """This machine and no other; everything listens on loopback."""
        return NodePlacement(0, ("127.0.0.1",), f"local-{os.getpid()}-{time.time_ns()}")

    @staticmethod
    def from_slurm() -> NodePlacement:
        """The node that this Slurm step runs on, or `single()`."""
        job = slurm_job()
        if job is None or "SLURM_STEP_ID" not in os.environ:
            return NodePlacement.single()
        from submitit.slurm.slurm import SlurmJobEnvironment

        restart = os.environ.get("SLURM_RESTART_COUNT", "0")
        return NodePlacement(
            node=int(os.environ["SLURM_NODEID"]),
            hosts=tuple(SlurmJobEnvironment().hostnames),
            attempt=f"{job}-{restart}-{os.environ['SLURM_STEP_ID']}",
            slurm_job=job if "SLURM_ARRAY_JOB_ID" in os.environ else None,
        )


def job_began() -> float:
    """When this job began, its `setup` included, seconds since 1970; without a batch script now."""
    return float(os.environ.get(BEGAN, time.time()))


def cores_here() -> int:
    """Cores for this process and what it starts: the job's, also where Slurm binds nobody to them."""
    visible = len(os.sched_getaffinity(0))
    return min(visible, int(os.environ.get("SLURM_CPUS_ON_NODE", visible)))
