"""Batch arithmetic: what divides, what does not, and what the message says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgg.errors import SggError
from sgg.plan.batch import BatchPlan, largest_micro, plan_batch

KEY = "stage.global_batch"


@pytest.mark.parametrize(
    ("args", "plan"),
    [
        # 128 / 4 = 32 samples a process; the largest divisor of 32 up to 12 is 8
        ((128, 4, None, 12), BatchPlan(4, 8, 4)),
        # 30 samples; up to 7: 6
        ((60, 2, None, 7), BatchPlan(2, 6, 5)),
        # no room stated: one at a time
        ((6, 2, None, 0), BatchPlan(2, 1, 3)),
        # larger than the share: the share
        ((8, 2, None, 64), BatchPlan(2, 4, 1)),
        # as configured, whatever the profile says
        ((32, 1, 16, 2), BatchPlan(1, 16, 2)),
    ],
)
def test_cut_by_hand(args, plan):
    assert plan_batch(KEY, *args) == plan
    assert plan.global_batch == args[0]


@given(st.integers(1, 64), st.integers(1, 9), st.integers(1, 70))
def test_the_micro_batch_is_the_largest_divisor_that_fits(share, processes, largest):
    plan = plan_batch(KEY, share * processes, processes, None, largest)
    assert plan.processes == processes
    assert plan.global_batch == share * processes
    fitting = [m for m in range(1, share + 1) if share % m == 0 and m <= largest]
    assert plan.micro_batch == max(fitting)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((0, 4, None, 1), "stage.global_batch=0 over 4 processes: both must be at least 1"),
        ((8, 0, None, 1), "stage.global_batch=8 over 0 processes: both must be at least 1"),
        ((10, 4, None, 1), "gives 10 samples a step, which 4 processes cannot share evenly"),
        ((24, 2, 5, 8), "stage.micro_batch=5 does not divide the 12 samples"),
        ((24, 2, 5, 8), "Allowed: 1, 2, 3, 4, 6, 12."),
        ((24, 2, 0, 8), "stage.micro_batch=0 does not divide"),
        ((24, 2, 24, 8), "stage.micro_batch=24 does not divide the 12 samples"),
    ],
)
def test_numbers_that_do_not_divide_are_refused_in_words(args, message):
    with pytest.raises(SggError) as error:
        plan_batch(KEY, *args)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("stated", "activations", "fits"),
    [
        (2, None, 2),  # a model that says nothing
        (2, 3584 * 28, 2),  # 7B, as stated
        (2, 1536 * 28, 4),  # 2B: 2 × 7/3
        (3, 2048 * 36, 4),  # 3B: 3 × 49/36
        (16, 5120 * 64, 4),  # 32B: 16 × 49/160
        (1, 8192 * 80, 1),  # 72B: never below one
    ],
)
def test_a_smaller_model_takes_more_and_a_larger_one_less(stated, activations, fits):
    assert largest_micro(stated, activations) == fits
