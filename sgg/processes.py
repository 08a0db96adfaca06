"""Processes that outlive who started them: known by number and time of birth, since numbers come again."""

from __future__ import annotations

import os

import psutil


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
