"""Intervals against scipy's bootstrap, against what is known of the binomial, and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, permutation_test

from sgg.metrics.bootstrap import difference, interval, wilson
from sgg.metrics.permutation import compare
from sgg.metrics.recall import Estimate

COIN = [0.0, 1.0] * 50


def estimate(values, weights=None, **options):
    over = np.array(values, dtype=float)
    over = over[:, None] if over.ndim == 1 else over
    under = (
        np.ones_like(over)
        if weights is None
        else np.array(weights, dtype=float).reshape(over.shape)
    )
    return Estimate(over, under, **options)


@pytest.mark.parametrize(("hits", "images"), [(0, 20), (7, 50), (50, 50), (399, 400)])
def test_a_rate_has_wilsons_interval(hits, images):
    known = binomtest(hits, images).proportion_ci(method="wilson")
    assert wilson(hits / images, images) == pytest.approx((known.low, known.high))
    found = interval(estimate([1.0] * hits + [0.0] * (images - hits)))
    assert found == pytest.approx((known.low, known.high), abs=0.15 / images)


@pytest.mark.parametrize("images", range(1, 60))
def test_none_and_all_are_ends_of_their_intervals(images):
    """To the last bit: rounding would put some of them a little below 0 or above 1."""
    assert wilson(0.0, images)[0] == 0
    assert wilson(1.0, images)[1] == 1


def spread(count, seed=0):
    """Ratios, weights and a table of 8 predicates of `count` images, none of the predicates rare."""
    rng = np.random.default_rng(seed)
    ease = rng.beta(2, 1, count)
    size = 1.0 + rng.poisson(4, count)
    shown = rng.random((count, 8)) < np.linspace(0.9, 0.2, 8)
    table = (rng.random((count, 8)) < ease[:, None] * np.linspace(1, 0.5, 8)) * shown
    share = rng.binomial(size.astype(int), ease)
    return {
        "R": estimate(share / size),
        "precision": estimate(share, size),
        "mR": estimate(table, shown),
        "mR over 20": estimate(table, shown, divisor=20),
        "F1": estimate(
            np.stack([share, ease], 1), np.stack([size, np.ones(count)], 1), harmonic=True
        ),
    }


@pytest.mark.parametrize("name", ["R", "precision", "mR", "mR over 20", "F1"])
def test_the_interval_is_that_of_scipys_bootstrap_where_images_are_many(name):
    """400 images, no predicate in fewer than 60: to a twelfth of the width, its Monte-Carlo error."""
    metric = spread(400)[name]

    def statistic(rows, axis=-1):
        return metric.reduced(metric.numerator[rows].sum(-2), metric.denominator[rows].sum(-2))

    known = bootstrap(
        (np.arange(400),), statistic, n_resamples=3000, batch=500, rng=1, method="BCa"
    )
    low, high = known.confidence_interval
    assert interval(metric) == pytest.approx((low, high), abs=(high - low) / 12)


def test_the_paired_test_is_scipys_permutation_test():
    """40 images, both runs measured anew after every exchange."""
    a, b = spread(40, 1)["mR"], spread(40, 2)["mR"]
    b = Estimate(np.minimum(b.numerator, a.denominator), a.denominator)

    def statistic(x, y, axis=-1):
        # rows of image numbers: those past 40 are run b's
        over = np.concatenate([a.numerator, b.numerator])
        under = np.concatenate([a.denominator, b.denominator])
        first, second = (a.reduced(over[r].sum(-2), under[r].sum(-2)) for r in (x, y))
        return first - second

    rows = np.arange(40)
    known = permutation_test(
        (rows, rows + 40), statistic, permutation_type="samples", n_resamples=4000, rng=1
    )
    (found,) = compare([a], [b])
    assert found.difference == pytest.approx(known.statistic)
    assert found.p == pytest.approx(known.pvalue, abs=0.04)


TABLES = st.integers(1, 6).flatmap(
    lambda images: st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=2),
        min_size=images,
        max_size=images,
    )
)


@given(TABLES, st.sampled_from([None, 2, 5]), st.booleans())
def test_every_interval_holds_its_point(rows, divisor, harmonic):
    """One image, images that all agree, predicates that one image shows, nothing counted."""
    under = np.array([[max(cell) for cell in row] for row in rows], dtype=float)
    over = np.array([[min(cell) for cell in row] for row in rows], dtype=float)
    metric = Estimate(over, under, None if harmonic else divisor, harmonic)
    low, high = interval(metric)
    assert 0 <= low <= metric.value + 1e-12
    assert metric.value - 1e-12 <= high <= 1
    (found,) = compare([metric], [metric])
    assert (found.difference, found.p) == (0, 1)
    assert found.low <= 0 <= found.high


def test_a_predicate_that_one_image_shows_is_never_counted_0():
    """Gold as prediction: each of 37 of 50 predicates in one image. At most 37/50, and not far below."""
    metric = estimate(np.eye(37), np.eye(37), divisor=50)
    low, high = interval(metric)
    assert metric.value == high == pytest.approx(0.74)
    assert low > 0.66


def test_four_times_the_images_halve_the_interval():
    (low, high), (low4, high4) = interval(estimate(COIN)), interval(estimate(COIN * 4))
    assert (high4 - low4) / (high - low) == pytest.approx(0.5, abs=0.02)


def test_what_nothing_is_known_of_may_be_anything():
    nothing = Estimate(np.zeros((5, 1)), np.zeros((5, 1)))
    assert (nothing.value, interval(nothing)) == (0, (0, 1))
    some = estimate([0.5] * 5)
    for pair in ((nothing, nothing), (some, nothing), (nothing, some)):
        assert difference(*pair) == (-1, 1)
    low, high = interval(estimate([0.5]))
    assert low < 0.2
    assert high > 0.8


def test_images_that_agree_leave_little_doubt():
    low, high = interval(estimate([0.25] * 7))
    assert 0.15 < low < 0.25 < high < 0.35
    low, high = interval(estimate([1.0] * 50))
    assert high == 1
    assert low == pytest.approx(0.929, abs=0.001)  # 1 / (1 + 1.96² / 50)


def test_a_ratio_is_measured_as_a_ratio():
    """Image by image 1 of 1 or 3 of 3, then 1 of 2 or 3 of 6: no image moves the ratio."""
    low, high = interval(estimate([1, 3] * 20, [2.0, 6.0] * 20))
    assert (low, high) == pytest.approx((0.5, 0.5), abs=0.02)


def test_a_mean_of_columns_counts_absent_ones_as_the_protocol_says():
    over = np.array([[1.0, 0.0]] * 5)
    assert Estimate(over, over.copy(), 4).value == 1 / 4
    assert Estimate(over, over.copy()).value == 1


def test_pairs_find_what_intervals_side_by_side_cannot():
    """Run b is .1 lower in every one of 40 images of widely different difficulty.

    The difference does not vary; all 40 signs agree by chance once in 2^39 exchanges.
    """
    hard = np.linspace(0.1, 1, 40)
    a, b = estimate(hard), estimate(hard - 0.1)
    (found,) = compare([a], [b])
    assert found.difference == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1), abs=1e-5)
    assert found.p == pytest.approx(1 / 2001)
    assert interval(a)[0] < interval(b)[1]


def test_the_exchange_test_counts_as_it_should():
    """Differences 1, 1, 1 in three images: 2 of 8 exchanges are as large, p is about 1/4."""
    (found,) = compare([estimate([1, 1, 1])], [estimate([0, 0, 0])])
    assert found.p == pytest.approx(1 / 4, abs=0.03)


def test_runs_of_different_splits_are_not_compared():
    with pytest.raises(ValueError, match="cannot be paired"):
        compare([estimate([1, 2])], [estimate([1])])


def test_a_variance_of_few_images_is_known_less_well():
    """Recalls 0 or 1 in 4 of 40 images, .9 in the others, against the same variance from all 40.

    The first hangs on 4 images, so its interval is wider than Wilson's at the same variance.
    """
    few = estimate([0, 0, 0, 1] + [0.9] * 36)
    (low, high), value = interval(few), few.value
    spread = ((few.numerator - value) ** 2).sum() / 40 / 39
    plain = wilson(value, value * (1 - value) / spread)
    assert 1.1 < (high - low) / (plain[1] - plain[0]) < 1.5
    even = estimate([value - 0.3, value + 0.05] * 20)
    spread = ((even.numerator - even.value) ** 2).sum() / 40 / 39
    plain = wilson(even.value, even.value * (1 - even.value) / spread)
    assert interval(even) == pytest.approx(plain, abs=0.01)


def test_the_interval_of_a_difference_has_students_width():
    """Eight images: 2.36 standard errors where all weigh alike; the more, the fewer images differ."""
    gaps = np.array([0.1, -0.1] * 4)
    low, high = difference(estimate(0.5 + gaps), estimate([0.5] * 8))
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(8 * 0.01 / 7 / 8), rel=0.08)
    one = np.array([0.4] + [0.0] * 7)
    low, high = difference(estimate(0.5 + one), estimate([0.5] * 8))
    assert (high - low) / 2 > 3 * np.sqrt(one.var(ddof=1) / 8)


@pytest.mark.thorough
@pytest.mark.parametrize("model", ["weak", "middling", "strong"])
def test_coverage_of_every_metric(model):
    """1,500 draws of 50 and of 200 images, seeded: within 93 to 97 % and two standard errors (.6)."""
    from benches import load

    bench = load("intervals")
    golds = list(bench.images(1500, np.random.default_rng(0)))
    found = bench.scored(golds, bench.MODELS[model], 1)
    for name in found:
        for size in (50, 200):
            share = bench.coverage(found[name], size, 1500, 3)
            assert 0.918 < share < 0.982, (name, size)


@pytest.mark.thorough
def test_equal_runs_seldom_differ():
    """400 pairs of equal runs of 60 images: p ≤ .05 in 5 %, standard error 1.1."""
    from benches import load

    bench = load("intervals")
    golds = list(bench.images(400, np.random.default_rng(0)))
    runs = [bench.scored(golds, bench.MODELS["middling"], seed) for seed in (1, 2)]
    found = bench.paired(*runs, 60, 400, 6, equal=True)
    for name in ("R", "mR", "precision", "F1"):
        held, small = found[name]
        assert 0.02 <= small <= 0.08, name
        assert held > 0.92, name


def test_coverage_of_a_small_split():
    """300 draws of 50 images: `bench/intervals.py`, in short and seeded."""
    from benches import load

    bench = load("intervals")
    golds = list(bench.images(400, np.random.default_rng(0)))
    found = bench.scored(golds, bench.MODELS["middling"], 1)
    for name in ("R", "mR", "precision", "F1"):
        assert bench.coverage(found[name], 50, 300, 3) > 0.9, name
