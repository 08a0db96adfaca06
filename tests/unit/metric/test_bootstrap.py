"""Intervals against what is known of the binomial, and against themselves."""

from __future__ import annotations

import pytest

from sgg.metric.bootstrap import interval

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
