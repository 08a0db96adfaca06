"""How OpenMP's threads wait for each other, set before torch loads them.

GNU OpenMP, which torch's CPU builds bring, lets a thread that waits compute for milliseconds before it
sleeps. On cores with other work to do it takes their time, and training is several times slower. A thousand
rounds are enough where nothing disturbs: `bench/threads.py`, and its table in docs/hardware.md.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPIN = {"GOMP_SPINCOUNT": "1000"}
"""Rounds that a thread computes before it sleeps."""
USERS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Either is a user's own wish."""


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep soon where they wait, unless the environment says how long to compute."""
    if not any(name in environment for name in USERS):
        environment.update(SPIN)
