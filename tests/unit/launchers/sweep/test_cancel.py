"""`sgg cancel` ends processes of the sweep, whatever else the sweep's files may name."""

import platform
import subprocess
import sys

import pytest

from launchers.sweep.cancel import cancel_sweep
from sgg.errors import SggError
from sgg.runs.process_id import process_id
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord


@pytest.fixture
def sleeper():
    """Starts processes of this user that sleep, with further words in their command."""
    started = []

    def start(*words):
        started.append(
            subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def sweep(folder, launcher="1@0", run=None):
    """A sweep of the user's own, by the processes that its launcher and its run are."""
    jobs = [] if run is None else [run]
    runs = [RunRecord(0, "sft", None, "points/000", jobs)]
    points, host = [PointRecord("000", [])], platform.node()
    record = SweepRecord("local", 1, str(folder), "", [], points, runs, host, launcher)
    (folder / "points" / "000").mkdir(parents=True)
    record.write(folder)
    record.sign(folder)


@pytest.mark.parametrize("words", [(), ("launchers.node", "/elsewhere/config.yaml")])
def test_a_process_of_something_else_is_left_alone(tmp_path, sleeper, words):
    """A number in sweep.json that is another process's, as after an edit; nothing else is ended, either."""
    other = sleeper(*words)
    launcher = sleeper("sgg")
    sweep(tmp_path, process_id(launcher.pid), process_id(other.pid))
    with pytest.raises(SggError, match=rf"process {other.pid} is named .* Nothing was ended"):
        cancel_sweep(tmp_path)
    assert other.poll() is None
    assert launcher.poll() is None
    assert not (tmp_path / "cancelled").exists()


def test_a_launcher_that_is_none_is_left_alone(tmp_path, sleeper):
    other = sleeper()
    sweep(tmp_path, process_id(other.pid))
    with pytest.raises(SggError, match=rf"process {other.pid} is named"):
        cancel_sweep(tmp_path)
    assert other.poll() is None


@pytest.mark.parametrize("with_launcher", [True, False])
def test_its_own_processes_are_ended(tmp_path, sleeper, with_launcher):
    run = sleeper("launchers.node", str(tmp_path / "points" / "000" / "config.yaml"))
    launcher = sleeper("sgg")
    sweep(tmp_path, process_id(launcher.pid) if with_launcher else "1@0", process_id(run.pid))
    assert cancel_sweep(tmp_path) == 1
    ended, goes_on = (launcher, run) if with_launcher else (run, launcher)
    assert ended.wait(30) == -15
    assert goes_on.poll() is None


def test_with_trust_a_strangers_sweep_ends_nothing_else(tmp_path, sleeper, monkeypatch):
    other = sleeper()
    sweep(tmp_path, run=process_id(other.pid))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    with pytest.raises(SggError, match="neither made nor accepted"):
        cancel_sweep(tmp_path)
    with pytest.raises(SggError, match=rf"process {other.pid} is named"):
        cancel_sweep(tmp_path, trust=True)
    assert other.poll() is None
