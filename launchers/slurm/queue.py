"""What Slurm knows of jobs: squeue first, sacct for what squeue has forgotten, and both may know nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sgg.errors import SggError

_TIMEOUT_S = 60
_ABOUT_THE_CLUSTER = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
_HELD = (
    "JobHeldUser",
    "JobHeldAdmin",
    "JobHoldMaxRequeue",
    "job requeued in held state",
    "launch failed requeued held",
)
"""Reasons of squeue."""


@dataclass(frozen=True)
class JobState:
    """A job as Slurm sees it."""

    state: str
    """Slurm's word, such as PENDING."""
    reason: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether it will be started."""
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person to release it."""
        return self.state in ("REQUEUE_HOLD", "SPECIAL_EXIT") or self.reason in _HELD

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        running = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "SIGNALING", "RESIZING")
        return self.state in running


def outside_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what Slurm or a shell's SBATCH_… say of other jobs.

    sbatch heeds SBATCH_… before the script's own lines, and SLURM_… of a job that `sgg` is called in
    would tell what it starts that it were a part of that job's step.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in _ABOUT_THE_CLUSTER or not name.startswith(("SBATCH_", "SLURM_"))
    }


def ask_slurm(jobs: Collection[str]) -> dict[str, JobState] | None:
    """States by job id (ARRAY_INDEX); what Slurm has forgotten is missing; None if it cannot be asked."""
    if not jobs:
        return {}
    if shutil.which("squeue") is None:
        return None
    arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
    done = _run("squeue", "-h", "-r", "-t", "all", "-j", arrays, "-o", "%i|%T|%r")
    if done is None or (done.returncode and "Invalid job id" not in done.stderr):
        return None
    states = {}
    for line in done.stdout.splitlines():
        job, state, reason = line.strip().split("|", 2)
        states[job] = JobState(state, "" if reason == "None" else reason)
    for job in set(jobs) - states.keys():
        array = job.partition("_")[0]
        # tasks that were cancelled before they started are one line without index
        if array in states:
            states[job] = states[array]
    forgotten = sorted(set(jobs) - states.keys())
    if forgotten:
        states.update(_accounted(forgotten))
    return {job: states[job] for job in jobs if job in states}


def refuse_other_jobs(jobs: Mapping[str, str]) -> None:
    """Raise SggError if a job is another user's or has another name: a number alone may be any job's.

    Args:
        jobs: id (ARRAY_INDEX) -> name.

    """
    known = _users_and_names(jobs) if jobs else {}
    user = os.getuid()
    others = [job for job, name in jobs.items() if known.get(job, (user, name)) != (user, name)]
    if others:
        raise SggError(
            f"jobs {' '.join(others)} are named as of the sweep, but are other ones by user or name. "
            f"Nothing was ended. Look at them with: squeue -j {','.join(others)}"
        )


def end_jobs(jobs: Sequence[str]) -> None:
    """Scancel.

    Raises:
        SggError: Slurm refused, or did not answer; jobs may still run.

    """
    done = _run("scancel", *jobs)
    if done is None or done.returncode:
        reason = "no answer" if done is None else done.stderr.strip()
        raise SggError(f"scancel {' '.join(jobs)} failed: {reason}. Try again; some may still run.")


def max_array_size() -> int | None:
    """Tasks that an array may have; None where Slurm does not say."""
    done = _run("scontrol", "show", "config")
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.M) if done else None
    return int(found[1]) if found else None


def _users_and_names(jobs: Collection[str]) -> dict[str, tuple[int, str]]:
    """User and name of jobs; what Slurm has forgotten, or cannot be asked about, is missing."""
    arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
    done = _run("squeue", "-h", "-r", "-t", "all", "-j", arrays, "-o", "%i|%U|%j")
    rows = [line.strip().split("|", 2) for line in (done.stdout if done else "").splitlines()]
    known = {job: (int(user), name) for job, user, name in rows}
    return {job: known[k] for job in jobs for k in (job.partition("_")[0], job) if k in known}


def _accounted(jobs: list[str]) -> dict[str, JobState]:
    """From accounting; nothing where the cluster keeps none."""
    done = _run("sacct", "-X", "-n", "-P", "-j", ",".join(jobs), "-o", "JobID,State")
    if done is None or done.returncode:
        return {}
    states = {}
    for line in done.stdout.splitlines():
        job, _, state = line.partition("|")
        if job in jobs:
            states[job] = JobState(state.split()[0])  # "CANCELLED by 0"
    return states


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
