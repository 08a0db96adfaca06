"""Signals that end a run: noted, or obeyed after something was done.

Imports nothing: an entry listens before all else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


@contextmanager
def listening() -> Iterator[list[int]]:
    """Inside the block no such signal ends this process; the list holds those that came."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def preceded(act: Callable[[], None]) -> Iterator[None]:
    """Inside the block a signal that ends this process has `act` called first; so does none of a fork's.

    An exception could be caught on its way by whatever library is at work.
    """
    process = os.getpid()

    def end(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == process:
            act()
        os.kill(os.getpid(), number)

    before = {n: signal.signal(n, end) for n in SIGNALS if n != signal.SIGINT}  # which raises
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
