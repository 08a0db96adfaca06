"""How OpenMP's threads wait for each other, set before torch loads them.

GNU OpenMP, which torch's CPU builds bring, lets a thread that waits compute for milliseconds before it
sleeps. On cores with other work to do it takes their time, and training is several times slower. A thousand
rounds are enough where nothing disturbs: `bench/threads.py`, and its table in docs/hardware.md.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_SPIN, _POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
USERS = (_SPIN, _POLICY)
"""Either is a user's own wish."""
SPIN = {_SPIN: "1001"}
"""Rounds that a thread computes before it sleeps: a number that nobody else writes, so that a process which
inherits it knows whose it is."""


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep soon where they wait, unless the environment says how long to compute.

    A policy may be set after our number, in a job's profile or setup; the library would heed the number.
    """
    if _POLICY not in environment:
        environment.setdefault(_SPIN, SPIN[_SPIN])
    elif environment.get(_SPIN) == SPIN[_SPIN]:
        del environment[_SPIN]
