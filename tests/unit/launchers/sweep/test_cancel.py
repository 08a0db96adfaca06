"""`sgg cancel` ends processes of the sweep, whatever else the sweep's files may name."""

import json
import platform
import shutil
import subprocess
import sys

import pytest

from launchers.sweep.cancel import cancel_sweep
from sgg.errors import SggError
from sgg.runs.lease import OWNERS
from sgg.runs.owner import Owner
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
    record.sign_launch(folder)
    return record


def own(folder, process, owned=None):
    """The lease of a folder as a process that starts its runs holds it."""
    owner = {"state": "held", **vars(Owner(process=process, folder=str(owned or folder)))}
    (folder / OWNERS).mkdir()
    (folder / OWNERS / "000001.json").write_text(json.dumps(owner))


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


@pytest.mark.parametrize("word", ["something", "sgg"])
def test_a_process_that_is_no_launcher_of_this_folder_is_left_alone(tmp_path, sleeper, word):
    """The run is ended by itself. Another training of the user's, which anybody can see, is `sgg`, too."""
    other = sleeper(word)
    run = sleeper("launchers.node", str(tmp_path / "points" / "000" / "config.yaml"))
    sweep(tmp_path, process_id(other.pid), process_id(run.pid))
    if word == "something":
        own(tmp_path, process_id(other.pid))
    assert cancel_sweep(tmp_path, trust=True) == 1
    assert run.wait(30) == -15
    assert other.poll() is None


def test_a_launcher_that_nobody_has_signed_is_refused(tmp_path, sleeper):
    """sweep.json and the lease may be anybody's who could write there."""
    other = sleeper("sgg")
    record = sweep(tmp_path)
    record.process = process_id(other.pid)
    record.write(tmp_path)
    own(tmp_path, record.process)
    with pytest.raises(SggError, match="not started this sweep as it stands there"):
        cancel_sweep(tmp_path)
    assert other.poll() is None


def test_a_copy_ends_nothing_of_the_original(tmp_path, sleeper):
    launcher = sleeper("sgg")
    original, copy = tmp_path / "a", tmp_path / "backup" / "a"
    sweep(original, process_id(launcher.pid))
    own(original, process_id(launcher.pid))
    shutil.copytree(original, copy)
    with pytest.raises(SggError, match="or it is a copy of the sweep that you started"):
        cancel_sweep(copy)
    cancel_sweep(copy, trust=True)
    assert launcher.poll() is None
    cancel_sweep(original)
    assert launcher.wait(30) == -15


def test_a_copy_with_a_forged_lease_ends_nothing_of_the_original(tmp_path, sleeper):
    """Its lease, which is not signed, says that the original's launcher starts the copy's runs."""
    launcher = sleeper("sgg")
    original, copy = tmp_path / "a", tmp_path / "b"
    sweep(original, process_id(launcher.pid))
    shutil.copytree(original, copy)
    own(copy, process_id(launcher.pid))
    with pytest.raises(SggError, match="not started this sweep as it stands there"):
        cancel_sweep(copy)
    assert launcher.poll() is None


def test_what_an_editor_leaves_in_its_code_keeps_nobody_from_cancelling(tmp_path, sleeper):
    run = sleeper("launchers.node", str(tmp_path / "points" / "000" / "config.yaml"))
    sweep(tmp_path, run=process_id(run.pid))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / ".main.py.swp").touch()
    assert cancel_sweep(tmp_path) == 1
    assert run.wait(30) == -15


@pytest.mark.parametrize("with_launcher", [True, False])
def test_its_own_processes_are_ended(tmp_path, sleeper, with_launcher):
    run = sleeper("launchers.node", str(tmp_path / "points" / "000" / "config.yaml"))
    launcher = sleeper("sgg")
    sweep(tmp_path, process_id(launcher.pid) if with_launcher else "1@0", process_id(run.pid))
    own(tmp_path, process_id(launcher.pid))
    assert cancel_sweep(tmp_path) == 1
    ended, goes_on = (launcher, run) if with_launcher else (run, launcher)
    assert ended.wait(30) == -15
    assert goes_on.poll() is None


def test_with_trust_a_strangers_sweep_ends_nothing_else(tmp_path, sleeper, monkeypatch):
    other = sleeper()
    sweep(tmp_path, run=process_id(other.pid))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    with pytest.raises(SggError, match="not started this sweep"):
        cancel_sweep(tmp_path)
    with pytest.raises(SggError, match=rf"process {other.pid} is named"):
        cancel_sweep(tmp_path, trust=True)
    assert other.poll() is None
