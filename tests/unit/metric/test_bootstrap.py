"""Intervals against what is known of the binomial, and against themselves."""

from __future__ import annotations

import numpy as np
import pytest

from sgg.metric.bootstrap import compare, interval, intervals
from sgg.metric.recall import Estimate

COIN = [0.0, 1.0] * 50


def test_interval_of_a_fair_coin():
    """100 tosses: mean .5, standard error .05; 95 % within ± 1.96 · .05, in steps of .01."""
    low, high = interval(COIN)
    assert low == pytest.approx(0.402, abs=0.0151)
    assert high == pytest.approx(0.598, abs=0.0151)


def test_a_wider_level_holds_a_narrower_one():
    (low50, high50), (low99, high99) = interval(COIN, level=0.5), interval(COIN, level=0.99)
    assert low99 < low50 < 0.5 < high50 < high99
    assert low50 == pytest.approx(0.5 - 0.674 * 0.05, abs=0.0151)


def test_four_times_the_images_halve_the_interval():
    (low, high), (low4, high4) = interval(COIN), interval(COIN * 4)
    assert (high4 - low4) / (high - low) == pytest.approx(0.5, abs=0.1)


def test_equal_values_leave_no_doubt_and_none_gives_zeros():
    assert interval([0.25] * 7) == (0.25, 0.25)
    assert interval([]) == (0.0, 0.0)


def test_the_seed_decides():
    assert interval(COIN[:31], seed=3) == interval(COIN[:31], seed=3)
    values = [i**2 / 961 for i in range(31)]
    assert interval(values, seed=3) != interval(values, seed=4)


def estimate(values, weights=None):
    over = np.array(values, dtype=float)[:, None]
    return Estimate(over, np.ones_like(over) if weights is None else np.array(weights)[:, None], 1)


def test_a_ratio_is_resampled_as_a_ratio():
    """Image by image 1 of 1 or 3 of 3: whatever is drawn, the ratio is 1."""
    assert intervals([estimate([1, 3] * 20, [1.0, 3.0] * 20)])[0] == pytest.approx((1, 1))


def test_a_mean_of_columns_counts_absent_ones_0():
    """Two columns of which the second is empty, divided by 4: (1 + 0) / 4."""
    over = np.array([[1.0, 0.0]] * 5)
    assert Estimate(over, over.copy(), 4).value == 1 / 4
    assert intervals([Estimate(over, over.copy(), 4)])[0] == pytest.approx((1 / 4, 1 / 4))


def test_equal_runs_do_not_differ():
    (same,) = compare([estimate(COIN)], [estimate(COIN)])
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_pairs_find_what_intervals_side_by_side_cannot():
    """Run b is .1 lower in every one of 40 images of widely different difficulty.

    The difference is .1 in every resample; all 40 signs agree by chance once in 2^39 exchanges.
    """
    hard = np.linspace(0.1, 1, 40)
    a, b = estimate(hard), estimate(hard - 0.1)
    (found,) = compare([a], [b])
    assert found.difference == pytest.approx(0.1, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1), abs=1e-5)
    assert found.p == pytest.approx(1 / 2001)
    (low_a, high_b) = intervals([a])[0][0], intervals([b])[0][1]
    assert low_a < high_b


def test_the_exchange_test_counts_as_it_should():
    """Differences 1, 1, 1 in three images: 2 of 8 exchanges are as large, p is about 1/4."""
    (found,) = compare([estimate([1, 1, 1])], [estimate([0, 0, 0])])
    assert found.p == pytest.approx(1 / 4, abs=0.03)


def test_runs_of_different_splits_are_not_compared():
    with pytest.raises(ValueError, match="cannot be paired"):
        compare([estimate([1, 2])], [estimate([1])])
