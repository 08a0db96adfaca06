"""A process is known again by number and birth, whatever happens to the clock."""

import os
import shutil
import signal
import subprocess

import psutil
import pytest

from sgg.runs import process_id as processes
from sgg.runs.process_id import is_alive, process_id, send


@pytest.fixture(params=["/proc", "without /proc"])
def system(request, monkeypatch):
    if request.param == "without /proc":
        monkeypatch.setattr(processes, "boot", lambda: "")


@pytest.fixture
def child():
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.usefixtures("system")
def test_one_that_has_ended_is_not_alive_and_gets_no_signal(child):
    who = process_id(child.pid)
    assert is_alive(who)
    assert send(who, signal.SIGTERM)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_id(child.pid) == who, "its number is still taken"
    assert not is_alive(who)
    child.wait()
    assert not is_alive(who)
    assert not send(who, signal.SIGTERM)
    with pytest.raises(ProcessLookupError, match=str(child.pid)):
        process_id(child.pid)


@pytest.mark.usefixtures("system")
def test_another_one_of_its_number_is_not_it(child):
    born = process_id().partition("@")[2]
    assert is_alive(process_id(child.pid))
    assert not is_alive(f"{child.pid}@{born}1")
    assert not send(f"{child.pid}@{born}1", signal.SIGTERM)
    assert child.poll() is None


def test_the_same_number_and_ticks_after_a_boot_are_not_it(child, monkeypatch):
    who = process_id(child.pid)
    monkeypatch.setattr(processes, "boot", lambda: "another")
    assert not is_alive(who)


def test_a_clock_that_is_set_ends_nobody(child, monkeypatch):
    """The kernel's time of the boot moves with the clock, and times of starts that are taken from it."""
    who, before = process_id(child.pid), psutil.Process(child.pid).create_time()
    boot_time = psutil.boot_time() + 3600
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time)
    assert psutil.Process(child.pid).create_time() - before > 3500
    assert is_alive(who)
    assert send(who, signal.SIGTERM)


def test_a_programs_name_may_hold_anything(tmp_path):
    name = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep"), name)
    process = subprocess.Popen([name, "600"])
    assert is_alive(process_id(process.pid))
    process.kill()
    process.wait()
