"""What a started process finds in its environment, whatever the config says."""

import subprocess
import sys

import pytest

from launchers.node.child import _environment
from launchers.process_plan import Process
from sgg.runs.users_secret import SECRET_HOME_VARIABLE, users_secret


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", SECRET_HOME_VARIABLE])
def test_a_rank_signs_by_the_secret_that_sgg_resume_looks_for(home, tmp_path, name):
    """It took that of the config's home, so each resume of a DeepSpeed run wanted trust=true."""
    code = "from sgg.runs.users_secret import users_secret; print(users_secret('Tests').hex())"
    rank = Process("rank0", 0, (sys.executable, "-c", code), environment={name: str(tmp_path)})
    done = subprocess.run(rank.command, env=_environment(rank), capture_output=True, text=True)
    assert done.stdout == f"{users_secret('Tests').hex()}\n"
    assert not (tmp_path / "sgg").exists()
    assert not (tmp_path / ".config").exists()


def test_all_else_is_the_configs(home):
    rank = Process("rank0", 0, (), environment={"XDG_CONFIG_HOME": "/elsewhere", "NAME": "a"})
    assert {"XDG_CONFIG_HOME": "/elsewhere", "NAME": "a"}.items() <= _environment(rank).items()
