"""A limit on waits that Python cannot interrupt, such as a broadcast whose other end has died."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

log = logging.getLogger("sgg")


@contextmanager
def limited(what: str, seconds: float, look: str) -> Iterator[None]:
    """End this process with a message if the block takes longer; its supervisor then ends the run.

    Args:
        what: what is waited for, such as "pushing weights".
        look: where to look for the reason.

    """
    timer = Timer(seconds, _give_up, (what, seconds, look))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(what: str, seconds: float, look: str) -> None:
    message = (
        f"Timed out after {seconds:g} s (hardware.rollout.wait_timeout_s, startup_timeout_s) while {what}. "
        f"Look into {look}. If it was only slow, raise them; started again, the run resumes from its newest "
        "checkpoint."
    )
    log.error("%s", message)
    print(f"sgg: {message}", file=sys.stderr, flush=True)
    os._exit(1)
