"""The command that makes a run again; a stranger's without what would run code."""

from __future__ import annotations

from sgg.runs.records import Start
from sgg.runs.repeat import Repeat, first_by_people, repeat, words_of_point, words_of_start
from sgg.runs.sweep import PointRecord, SweepRecord

CODE = "hardware.environment.LD_PRELOAD=/x.so"


def test_words_that_run_code_stand_only_in_ones_own_command():
    words = ["sgg", "stage=eval", CODE, "tracker.group=a b"]
    assert repeat(words, is_own=True) == Repeat(f"sgg stage=eval {CODE} 'tracker.group=a b'")
    left_out = repeat(words, is_own=False)
    assert left_out == Repeat("sgg stage=eval 'tracker.group=a b'", CODE)


def test_a_point_has_what_all_share_and_its_own():
    points = [PointRecord("000", ["seed=0"]), PointRecord("001", ["seed=1"])]
    record = SweepRecord("local", 1, "/", "now", ["stage=eval", "paths.sweep_dir=x"], points, [])
    assert words_of_point(record, 1) == ["sgg", "stage=eval", "seed=1"]


def test_the_start_by_a_person_is_the_first_that_is_no_resume_and_no_job():
    """A line whose quotes do not close, and none at all, is nobody's."""
    commands = ["/x/bin/sgg resume r", "/x/launchers.node r", "sgg 'open", "", "/x/bin/sgg seed=1"]
    starts = [Start(f"2026-01-0{i}", command) for i, command in enumerate(commands, 1)]
    first = first_by_people(starts)
    assert first is starts[-1]
    assert words_of_start(first) == ["sgg", "seed=1"]
    assert first_by_people(starts[:-1]) is None
    began = Start("2026-01-01", "sgg stage=sft paths.run_dir=here")
    assert first_by_people([starts[-1], began]) is began
    assert words_of_start(began) == ["sgg", "stage=sft"]
