"""How OpenMP's threads wait: set before torch is loaded, and never over a user's own value."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from sgg.compat.openmp import SPIN, USERS, wait_briefly


def test_an_environment_without_a_wish_gets_ours():
    environment = {"HOME": "/home/someone"}
    wait_briefly(environment)
    assert environment == {"HOME": "/home/someone", **SPIN}


def test_a_wish_that_came_after_ours_is_heeded():
    """A job inherits ours from the shell that submits; its profile or its setup may say OMP_WAIT_POLICY."""
    environment = {**SPIN, "OMP_WAIT_POLICY": "active"}
    wait_briefly(environment)
    assert environment == {"OMP_WAIT_POLICY": "active"}


@pytest.mark.parametrize("name", USERS)
def test_a_users_own_value_stays(name):
    environment = {name: "mine"}
    wait_briefly(environment)
    assert environment == {name: "mine"}


def spins(own: dict[str, str]) -> str:
    """What the OpenMP library that torch loads says of itself in a process that begins with sgg."""
    # not what other tests' libraries left in this process, such as vLLM's LD_PRELOAD of this very library
    others = {k: os.environ[k] for k in ("PATH", "HOME", "PYTHONPATH") if k in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", "import sgg, torch"],
        env={**others, **own, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if found is None:
        pytest.skip("torch's OpenMP here is not GNU's")
    return found[1]


def test_the_library_of_torch_takes_it():
    assert spins({}) == SPIN["GOMP_SPINCOUNT"]
    assert spins({"OMP_WAIT_POLICY": "passive"}) == "0"
    assert spins({"OMP_WAIT_POLICY": "passive", **SPIN}) == "0"
