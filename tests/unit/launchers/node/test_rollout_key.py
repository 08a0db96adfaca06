"""The key of rollout servers: a start's own, the same on all its nodes, and in no file of the run."""

import stat
import subprocess
import sys

import pytest

from launchers.node.rollout_key import rollout_key
from sgg.errors import SggError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "sgg"


def test_a_key_is_a_starts_own(home, tmp_path):
    key = rollout_key(tmp_path, "7-0")
    assert rollout_key(tmp_path, "7-0") == key
    assert len({key, rollout_key(tmp_path, "7-1"), rollout_key(tmp_path / "other", "7-0")}) == 3
    assert len(key) == 64


def test_the_secret_is_its_owners_alone(home, tmp_path):
    rollout_key(tmp_path, "7-0")
    (secret,) = home.iterdir()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_size == 32


def test_nodes_that_start_together_agree(home, tmp_path):
    code = "from pathlib import Path; from launchers.node.rollout_key import rollout_key as key"
    code += "; print(key(Path(), 7))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


def test_no_place_for_a_secret_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(SggError, match="XDG_CONFIG_HOME"):
        rollout_key(tmp_path, "7-0")
