"""What is reported while jobs are waited for, and when waiting ends."""

from pathlib import Path

import pytest

from launchers.sweep.status import FolderStatus, RunStatus
from launchers.sweep.wait import SweepWatcher
from sgg.errors import Failed
from sgg.runs.sweep import RunRecord

SWEEP = Path("/sweep")


def status(*runs, note=""):
    records = [RunRecord(i, "sft", None, f"points/{i}", [f"7_{i}"]) for i in range(len(runs))]
    states = [
        RunStatus(r, s, why, None, held) for r, (s, why, held) in zip(records, runs, strict=True)
    ]
    return FolderStatus(SWEEP, None, states, note)


def queued(reason="Priority", held=False):
    return ("queued", reason, held)


RUNNING = ("running", "", False)


def test_reasons_and_notes_are_told_when_they_change():
    watch = SweepWatcher(SWEEP)
    assert (
        watch.changes(status(queued(), queued(), RUNNING), 0) == "2 queued (2 Priority), 1 running"
    )
    assert watch.changes(status(queued(), queued(), RUNNING), 5) == ""
    told = watch.changes(status(queued(), queued("Resources"), RUNNING), 10)
    assert told == "2 queued (1 Priority, 1 Resources), 1 running"
    assert "cannot be asked" in watch.changes(status(RUNNING, note="Slurm cannot be asked."), 15)


def test_slurm_may_be_away_for_a_while_but_not_for_ever():
    watch = SweepWatcher(SWEEP)
    away = status(("unknown", "", False), note="Slurm cannot be asked.")
    watch.changes(away, 0)
    watch.changes(away, 1799)
    watch.changes(status(RUNNING), 1800)
    watch.changes(away, 1900)
    watch.changes(away, 3600)
    with pytest.raises(Failed, match="sgg resume /sweep wait=true"):
        watch.changes(away, 3700)


def test_held_jobs_are_not_waited_for():
    held = queued("JobHeldUser", held=True)
    SweepWatcher(SWEEP).changes(status(held, RUNNING), 0)
    SweepWatcher(SWEEP).changes(status(held, queued()), 0)
    with pytest.raises(Failed, match=r"JobHeldUser.*scontrol release 7_0,") as raised:
        SweepWatcher(SWEEP).changes(status(held, queued("Dependency"), ("finished", "", False)), 0)
    assert "sgg resume /sweep wait=true" in str(raised.value)
