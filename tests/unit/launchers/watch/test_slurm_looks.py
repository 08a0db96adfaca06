"""How often Slurm is asked, by commands that count how often they are called."""

import os

import pytest

from launchers.slurm.queue import JobState
from launchers.watch.slurm_looks import SlurmLooks


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A squeue that knows one job; the words of each call."""
    calls = tmp_path / "calls"
    answers = 'case "$*" in *%P*) echo "7_0|a|N/A";; *) echo "7_0|PENDING|Priority";; esac'
    squeue = tmp_path / "squeue"
    squeue.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{answers}\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return lambda: calls.read_text().count("\n") if calls.exists() else 0


def test_slurm_is_asked_every_ten_seconds_at_most(asked):
    clock = Clock()
    slurm = SlurmLooks(clock)
    for clock.now_s in (0.0, 2.0, 9.9):
        assert slurm.states({"7_0"}) == {"7_0": JobState("PENDING", "Priority")}
    assert asked() == 1
    clock.now_s = 10.1
    slurm.states({"7_0"})
    assert asked() == 2
    slurm.states({"7_0", "8_0"})  # a resumed sweep has other jobs
    assert asked() == 3


def test_so_it_is_about_the_place_in_the_queue(asked):
    clock = Clock()
    slurm = SlurmLooks(clock)
    for clock.now_s in (0.0, 2.0, 9.9):
        assert slurm.place("7_0").place == 1
    assert asked() == 1


def test_a_slow_controller_is_asked_less_often(monkeypatch):
    """An answer takes 4 s, so 40 s pass before the next question."""
    clock, calls = Clock(), []

    def slow(jobs):
        calls.append(clock.now_s)
        clock.now_s += 4.0

    monkeypatch.setattr("launchers.watch.slurm_looks.ask_slurm", slow)
    slurm = SlurmLooks(clock)
    for now_s in (0.0, 15.0, 43.0, 45.0):
        clock.now_s = max(now_s, clock.now_s)
        slurm.states({"7_0"})
    assert calls == [0.0, 45.0]
