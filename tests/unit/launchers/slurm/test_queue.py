"""Slurm's words, from stand-ins that print what Slurm 22.05 was seen to print."""

import os

import pytest

from launchers.slurm.queue import (
    JobState,
    QueuePlace,
    ask_slurm,
    end_jobs,
    own_jobs,
    place_in_queue,
)
from sgg.errors import SggError


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program first on PATH that prints a text and ends with a code."""

    def make(name, text, code=0, to="1"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ncat >&{to} <<'END'\n{text}\nEND\nexit {code}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return make


def test_tasks_of_an_array_and_those_cancelled_before_they_started(stand_in):
    stand_in("squeue", "7_0|RUNNING|None\n7_1|PENDING|JobArrayTaskLimit\n9|CANCELLED|BeginTime")
    assert ask_slurm({"7_0", "7_1", "9_4"}) == {
        "7_0": JobState("RUNNING"),
        "7_1": JobState("PENDING", "JobArrayTaskLimit"),
        "9_4": JobState("CANCELLED", "BeginTime"),
    }


def test_what_the_queue_has_forgotten_is_asked_of_accounting(stand_in):
    stand_in("squeue", "slurm_load_jobs error: Invalid job id specified", code=1, to="2")
    stand_in("sacct", "7_0|CANCELLED by 0\n7_1|COMPLETED")
    assert ask_slurm({"7_0"}) == {"7_0": JobState("CANCELLED")}


def test_without_accounting_it_is_not_known(stand_in):
    stand_in("squeue", "slurm_load_jobs error: Invalid job id specified", code=1, to="2")
    stand_in("sacct", "Slurm accounting storage is disabled", code=1, to="2")
    assert ask_slurm({"7_0"}) == {}


def test_a_silent_controller_is_not_an_empty_queue(stand_in):
    stand_in("squeue", "slurm_load_jobs error: Unable to contact slurm controller", code=1, to="2")
    assert ask_slurm({"7_0"}) is None


def test_nothing_is_asked_about_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert ask_slurm(set()) == {}
    assert ask_slurm({"7_0"}) is None


def test_the_place_of_a_job_among_those_that_wait_in_its_partition(stand_in):
    """By hand: 4 comes first in `a`; of `b` there is one more. The tasks of array 7 wait as one line."""
    stand_in("squeue", "4|a|N/A\n5|b|N/A\n7_[2-9]|a|2026-01-01T12:00:00\n7_1|a|N/A\n8|a|N/A")
    assert place_in_queue("7_3") == QueuePlace(2, 4, "2026-01-01T12:00:00")
    assert place_in_queue("7_1") == QueuePlace(3, 4, "")
    assert place_in_queue("5") == QueuePlace(1, 1, "")
    assert place_in_queue("6_0") is None
    stand_in("squeue", "slurm_load_jobs error: Unable to contact slurm controller", code=1, to="2")
    assert place_in_queue("5") is None


def test_whose_jobs_are_is_said_by_slurm_or_nothing_ends(stand_in, tmp_path):
    stand_in("scancel", "")
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/ended\n')
    jobs, user = {"7_0": "a.sft", "8_1": "a.eval", "9_0": "a.sft"}, os.getuid()
    for row, is_named_so in ((f"{user}|b.sft", False), (f"{user + 1}|a.sft", True)):
        stand_in("squeue", f"7_0|{row}")
        with pytest.raises(SggError, match="jobs 7_0 are named") as refused:
            end_jobs(jobs)
        assert ("user namespace" in str(refused.value)) == is_named_so
    stand_in("squeue", "slurm_load_jobs error: Unable to contact slurm controller", code=1, to="2")
    with pytest.raises(SggError, match="squeue does not say whose the jobs 7_0 8_1 9_0 are"):
        end_jobs(jobs)
    stand_in("squeue", "slurm_load_jobs error: Invalid job id specified", code=1, to="2")
    end_jobs(jobs)
    assert own_jobs(jobs) == []
    assert not (tmp_path / "ended").exists()
    stand_in("squeue", f"7_0|{user}|a.sft\n8|{user}|a.eval")
    end_jobs(jobs)
    assert (tmp_path / "ended").read_text() == "7_0 8_1\n"
