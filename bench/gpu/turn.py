"""A script's turn on the GPU: one at a time, and no longer than its time."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

SHORTEST_S = 15.0
"""With less time left nothing is begun."""


PATIENCE_S = 150.0
"""How long a folder is waited for."""


class OutOfTime(BaseException):
    """The turn is over. No `Exception`, so that nothing on its way up catches it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `check.py` says to each script that uses the GPU."""
    parser.add_argument("--after", type=Path, help="begin when this folder is there")
    parser.add_argument("--lock", type=Path, help="scripts with one lock take turns")
    parser.add_argument("--seconds", type=float, default=1e6, help="length of the turn at most")
    parser.add_argument(
        "--until", type=float, default=1e12, help="its end at the latest, Unix time"
    )


@contextmanager
def turn(chosen: argparse.Namespace) -> Iterator[None]:
    """Wait for folder and lock, then let the block run until its time is over; in the main thread alone.

    Raises:
        OutOfTime: in the block when its time is over; before it where the folder has not come, or too
            little time is left to begin.

    """
    _wait_for(chosen.after, min(time.time() + PATIENCE_S, chosen.until - SHORTEST_S))
    with FileLock(chosen.lock or Path("gpu.lock")):
        seconds = min(chosen.seconds, chosen.until - time.time())
        if seconds < SHORTEST_S:
            raise OutOfTime("no time left")

        def ring(*_: object) -> None:
            raise OutOfTime(f"stopped after {seconds:.0f} s")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _wait_for(folder: Path | None, end: float) -> None:
    while folder and not folder.is_dir():
        if time.time() > end:
            raise OutOfTime(f"{folder} is not there yet")
        time.sleep(0.1)
