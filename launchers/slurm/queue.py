"""What Slurm knows of jobs: squeue first, sacct for what squeue has forgotten, and both may know nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
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
    rows = _queue(jobs, "%i|%T|%r")
    if rows is None:
        return None
    states = {job: JobState(state, "" if r == "None" else r) for job, state, r in rows}
    for job in set(jobs) - states.keys():
        array = job.partition("_")[0]
        # tasks that were cancelled before they started are one line without index
        if array in states:
            states[job] = states[array]
    forgotten = sorted(set(jobs) - states.keys())
    if forgotten:
        states.update(_accounted(forgotten))
    return {job: states[job] for job in jobs if job in states}


@dataclass(frozen=True)
class QueuePlace:
    """Where a job stands among those that wait in its partition, as far as this user may see them."""

    place: int
    """From 1; by priority."""
    waiting: int
    """Lines of the queue: the tasks of an array that have not started are one."""
    start: str
    """When Slurm expects it to start, as squeue prints it; empty where it does not say."""


def place_in_queue(job: str) -> QueuePlace | None:
    """The place of a job that waits; None where it does not, or Slurm cannot be asked."""
    done = _run("squeue", "-h", "-t", "PENDING", "-S", "-p,i", "-o", "%i|%P|%S")
    if done is None or done.returncode:
        return None
    rows = [line.strip().split("|", 2) for line in done.stdout.splitlines()]
    rows = [row for row in rows if len(row) == 3]
    array = job.partition("_")[0]
    own = next((r for r in rows if r[0] == job), None)
    own = own or next((r for r in rows if r[0].startswith(f"{array}_[") or r[0] == array), None)
    if own is None:
        return None
    same = [row for row in rows if row[1] == own[1]]
    return QueuePlace(same.index(own) + 1, len(same), "" if own[2] == "N/A" else own[2])


def own_jobs(jobs: Mapping[str, str]) -> list[str]:
    """Those that Slurm knows as this user's and by their names; what it has forgotten has ended.

    Args:
        jobs: id (ARRAY_INDEX) -> name. A number alone may be any job's.

    Raises:
        SggError: one is another user's or has another name, or Slurm cannot be asked.

    """
    known = _users_and_names(jobs) if jobs else {}
    if known is None:
        raise SggError(
            f"squeue does not say whose the jobs {' '.join(jobs)} are. Nothing was ended. Try again once it "
            "does."
        )
    others = [job for job in known if known[job] != (os.getuid(), jobs[job])]
    if others:
        container = ""
        if all(known[job][1] == jobs[job] for job in others):
            container = (
                f"\nOr this is a container with a user namespace, in which you are user {os.getuid()}: "
                "give the command outside of it."
            )
        raise SggError(
            f"jobs {' '.join(others)} are named as of the sweep, but are other ones by user or name. "
            f"Nothing was ended. Look at them with: squeue -j {','.join(others)}{container}"
        )
    return list(known)


def end_jobs(jobs: Mapping[str, str]) -> None:
    """Scancel what is of these jobs, as `own_jobs` says.

    By number alone: where scancel of Slurm 22.05 is given a name or a user as well, it also ends other
    tasks of an array that wait.

    Raises:
        SggError: as of `own_jobs`; or Slurm refused, or did not answer, and jobs may still run.

    """
    own = own_jobs(jobs)
    if not own:
        return
    done = _run("scancel", *own)
    if done is None or done.returncode:
        reason = "no answer" if done is None else done.stderr.strip()
        raise SggError(f"scancel {' '.join(own)} failed: {reason}. Try again; some may still run.")


def max_array_size() -> int | None:
    """Tasks that an array may have; None where Slurm does not say."""
    done = _run("scontrol", "show", "config")
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.M) if done else None
    return int(found[1]) if found else None


def _users_and_names(jobs: Collection[str]) -> dict[str, tuple[int, str]] | None:
    """User and name of jobs; what Slurm has forgotten is missing; None if it cannot be asked."""
    rows = _queue(jobs, "%i|%U|%j")
    if rows is None:
        return None
    known = {job: (int(user), name) for job, user, name in rows}
    return {job: known[k] for job in jobs for k in (job.partition("_")[0], job) if k in known}


def _queue(jobs: Collection[str], columns: str) -> list[list[str]] | None:
    """Three columns of squeue, for all tasks of the jobs' arrays; None if it cannot be asked."""
    arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
    done = _run("squeue", "-h", "-r", "-t", "all", "-j", arrays, "-o", columns)
    if done is None or (done.returncode and "Invalid job id" not in done.stderr):
        return None
    return [line.strip().split("|", 2) for line in done.stdout.splitlines()]


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
