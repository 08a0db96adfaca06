"""Processes that outlive who started them: known by number and time of birth, since numbers come again."""

from __future__ import annotations

import os

import psutil


def slurm_job() -> str | None:
    """The job that this process belongs to, as Slurm's commands take it; None outside of one.

    A task of an array is ARRAY_INDEX: SLURM_JOB_ID of the last one would mean all of them.
    """
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def identity(pid: int | None = None) -> str:
    """`PID@SECONDS` of a living process; of this one without a number."""
    number = os.getpid() if pid is None else pid
    return f"{number}@{psutil.Process(number).create_time():.0f}"


def is_alive(who: str) -> bool:
    """Whether that very process still runs on this machine."""
    number, _, born = who.partition("@")
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - float(born)) <= 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def send(who: str, signal_number: int) -> bool:
    """Send a signal, if it still runs."""
    if not is_alive(who):
        return False
    os.kill(int(who.partition("@")[0]), signal_number)
    return True
