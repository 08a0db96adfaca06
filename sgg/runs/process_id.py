"""Processes that outlive who started them: known by number and birth, since numbers come again."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import psutil

_STATE, _BORN = 0, 19
"""In /proc/PID/stat, counted from behind the program's name."""


def slurm_job() -> str | None:
    """The job that this process belongs to, as Slurm's commands take it; None outside of one.

    A task of an array is ARRAY_INDEX: SLURM_JOB_ID of the last one would mean all of them.
    """
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def boot() -> str:
    """The id of this boot of the machine; empty where the system does not tell one."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def process_id(pid: int | None = None) -> str:
    """`PID@BIRTH` of a process; of this one without a number.

    Raises:
        ProcessLookupError: none has this number.

    """
    number = os.getpid() if pid is None else pid
    return f"{number}@{_birth(number)[0]}"


def is_alive(who: str) -> bool:
    """Whether that very process still runs on this machine."""
    number, _, born = who.partition("@")
    if re.fullmatch(r"[0-9]{1,9}", number) is None:
        return False
    try:
        return _birth(int(number)) == (born, True)
    except ProcessLookupError:
        return False


def command_line(who: str) -> list[str] | None:
    """The arguments of a process's command, none for another user's; None where it has ended."""
    if not is_alive(who):
        return None
    try:
        process = psutil.Process(int(who.partition("@")[0]))
        return process.cmdline() if process.uids().effective == os.geteuid() else []
    except psutil.Error:  # it has ended meanwhile
        return None


def send(who: str, signal_number: int) -> bool:
    """Send a signal, if it still runs."""
    if not is_alive(who):
        return False
    os.kill(int(who.partition("@")[0]), signal_number)
    return True


def _birth(pid: int) -> tuple[str, bool]:
    """What a process shares with no other of its number, and whether it still runs.

    That is clock ticks since the boot, and which boot: a time of day would move when the clock is set.

    Raises:
        ProcessLookupError: there is none.

    """
    if this_boot := boot():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except FileNotFoundError as error:
            raise ProcessLookupError(f"no process {pid}") from error
        fields = stat.rpartition(b")")[2].split()  # a program's name may hold anything
        return f"{int(fields[_BORN])}/{this_boot}", fields[_STATE] not in (b"Z", b"X")
    try:
        process = psutil.Process(pid)
        return f"{process.create_time():.2f}", process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(f"no process {pid}") from error
