"""Rates and the time that is left, by hand."""

import pytest

from sgg.watch.pace import Pace, Progress


def test_what_is_seen_counts_before_what_is_logged():
    """20 steps in 40 s: 2 s each; the log's 1.5 s leave out what is between two steps."""
    pace = Pace()
    pace.log(1.0)
    pace.log(2.0)
    pace.see(0.0, 100)
    assert pace.per_step_s() == 1.5
    pace.see(5.0, 110)  # too soon to tell
    assert pace.per_step_s() == 1.5
    pace.see(40.0, 120)
    assert pace.per_step_s() == 2.0


def test_looks_without_a_step_do_not_make_it_slower():
    pace = Pace()
    for now_s, step in ((0, 1), (10, 2), (11, 2), (19, 2), (20, 3)):
        pace.see(now_s, step)
    assert pace.per_step_s() == 10.0


def test_the_rate_is_that_of_the_latest_steps():
    pace = Pace()
    for step in range(100):
        pace.see(100.0 * step, step)
    for step in range(100, 140):
        pace.see(9900.0 + 10.0 * (step - 99), step)
    assert pace.per_step_s() == 10.0


def test_a_pause_between_two_starts_does_not_count():
    """Step 50 is seen, an hour in the queue follows, and the resumed run goes on at step 41."""
    pace = Pace()
    pace.see(0.0, 40)
    pace.see(20.0, 50)
    assert pace.per_step_s() == 2.0
    pace.forget()
    pace.see(3620.0, 41)
    assert pace.per_step_s() is None
    pace.see(3650.0, 51)
    assert pace.per_step_s() == 3.0


def test_steps_that_are_made_again_begin_a_new_stretch():
    pace = Pace()
    for now_s, step in ((0, 40), (20, 50), (3620, 41), (3650, 51)):
        pace.see(now_s, step)
    assert pace.per_step_s() == 3.0


def test_over_the_whole_start_where_nothing_else_is_known():
    assert Pace().per_step_s((30.0, 10)) == 3.0
    assert Pace().per_step_s((0.0, 10)) is None
    assert Pace().per_step_s() is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_can_be_none_is_not_taken(seconds):
    pace = Pace()
    pace.log(seconds)
    assert pace.per_step_s() is None


@pytest.mark.parametrize(
    ("done", "total", "per_unit_s", "since_s", "left_s"),
    [
        (120, 400, 2.0, 0.5, 559.5),  # 280 steps, half a second into the first
        (120, 400, 2.0, 500.0, 558.0),  # it stands still: no more than a step is taken off
        (400, 400, 2.0, 1.0, 0.0),
        (410, 400, 2.0, 0.0, 0.0),
        (1, None, 2.0, 0.0, None),
        (1, 400, None, 0.0, None),
    ],
)
def test_time_that_is_left(done, total, per_unit_s, since_s, left_s):
    assert Progress("step", done, total, per_unit_s, since_s).left_s == left_s
