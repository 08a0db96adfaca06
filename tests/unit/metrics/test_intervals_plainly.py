"""The interval's formula again, image by image in plain loops, and the exchanges of the paired test."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.stats import norm, t

from sgg.metrics import permutation as exchange
from sgg.metrics.bootstrap import difference, interval
from sgg.metrics.permutation import EXCHANGES, compare
from sgg.metrics.recall import Estimate

Z = norm.ppf(0.975)


def quantile(freedom):
    return Z if freedom > 1e8 else t.ppf(0.975, max(freedom, 1))


def freedom(moved, images):
    """2 over what is uneven in the images' shares of the sum of squares."""
    total = sum(m * m for m in moved)
    if not total:
        return inf
    uneven = sum(m**4 for m in moved) / total**2 - 1 / images
    return 2 / uneven if uneven > 0 else inf


def influences(over, under, harmonic):
    """(point, by image how far it moves the point, variance, images by weight) of counted columns."""
    images, columns = len(over), range(len(over[0]))
    total = [sum(row[c] for row in under) for c in columns]
    shown = [c for c in columns if total[c] > 0]
    rates = {c: sum(row[c] for row in over) / total[c] for c in shown}
    if harmonic:
        a, b = (rates[c] for c in shown)
        point = 2 * a * b / (a + b) if a + b else 0.0
        slope = dict.fromkeys(shown, 0.5)
        if a + b:
            slope = {shown[0]: 2 * (b / (a + b)) ** 2, shown[1]: 2 * (a / (a + b)) ** 2}
    else:
        point = sum(rates.values()) / len(shown)
        slope = {c: 1 / len(shown) for c in shown}
    by_image, weight_of = [0.0] * images, [0.0] * images
    own = together = 0.0
    for c in shown:
        share = [under[i][c] / total[c] for i in range(images)]
        squares = 0.0
        for i in range(images):
            if not share[i]:
                continue
            rest = total[c] - under[i][c]
            if rest:
                without = (rates[c] * total[c] - over[i][c]) / rest
            elif len(shown) > 1 and not harmonic:
                without = sum(rates[d] for d in shown if d != c) / (len(shown) - 1)
            else:
                without = rates[c]
            moved = slope[c] * (rates[c] - without)
            by_image[i] += moved
            together += moved**2
            weight_of[i] += share[i] * slope[c]
            squares += (share[i] * (over[i][c] / under[i][c] - rates[c])) ** 2
        weight = sum(s * s for s in share)
        drawn = (rates[c] / weight + 2 * point) / (1 / weight + 2)
        own += slope[c] ** 2 * (squares / (1 - weight) if weight < 1 else 0.0)
        own += slope[c] ** 2 * drawn * (1 - drawn) * weight**3
    shared = sum(m * m for m in by_image) - together
    whole = sum(slope.values())
    kish = 1 / sum((w / whole) ** 2 for w in weight_of)
    return point, by_image, own + max(shared, -own / 2), kish, len(shown)


def plainly(over, under, divisor, harmonic):
    point, by_image, variance, images, shown = influences(over, under, harmonic)
    spread, n = point * (1 - point), images
    if spread > 0 and variance > 0:
        n = spread / variance
        of_proportion = 2 * n / (1 / spread - 4) if spread < 0.25 else inf
        n *= min(quantile(of_proportion) / quantile(freedom(by_image, images)), 1) ** 2
    centre = (point + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(spread / n + Z * Z / (4 * n * n))
    scale = shown / divisor if divisor else 1.0
    low, high = max(min(centre - half, point), 0), min(max(centre + half, point), 1)
    return low * scale, high * scale


CELL = st.tuples(st.integers(0, 4), st.integers(0, 4))
TABLES = st.integers(2, 7).flatmap(
    lambda images: st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.lists(CELL, min_size=columns, max_size=columns), min_size=images, max_size=images
        )
    )
)


def read(rows):
    under = [[max(cell) for cell in row] for row in rows]
    over = [[min(cell) for cell in row] for row in rows]
    return over, under


def estimate(over, under, **options):
    return Estimate(np.array(over, dtype=float), np.array(under, dtype=float), **options)


def clear(over, under, harmonic):
    """No column and no point whose variance is nothing but rounding."""
    _, by_image, variance, _, _ = influences(over, under, harmonic)
    return variance > 1e-9 and (max(map(abs, by_image)) > 1e-6)


ALONE = [[(1, 1), (1, 1)], [(0, 1), (0, 0)], [(1, 1), (0, 0)], [(0, 1), (0, 0)]]
"""The second column has its only image in the first."""
ALONE_OF_THREE = [[*row, (1 - i % 2, 1)] for i, row in enumerate(ALONE)]


@example(ALONE, False)
@example(ALONE_OF_THREE, True)
@given(TABLES, st.booleans())
def test_intervals_are_what_the_formula_says(rows, wide):
    over, under = read(rows)
    assume(any(map(any, under)) and clear(over, under, False))
    divisor = len(rows[0]) + 2 if wide else None
    found = interval(estimate(over, under, divisor=divisor))
    assert found == pytest.approx(plainly(over, under, divisor, False), abs=1e-6)


@example(ALONE)
@given(TABLES.filter(lambda rows: len(rows[0]) == 2))
def test_intervals_of_harmonic_means_are_what_the_formula_says(rows):
    over, under = read(rows)
    assume(all(sum(row[c] for row in under) for c in (0, 1)) and clear(over, under, True))
    found = interval(estimate(over, under, harmonic=True))
    assert found == pytest.approx(plainly(over, under, None, True), abs=1e-6)


@given(TABLES, TABLES)
def test_intervals_of_differences_are_what_the_formula_says(left, right):
    assume(len(left) == len(right))
    (over, under), (over2, under2) = read(left), read(right)
    assume(any(map(any, under)) and any(map(any, under2)))
    _, a, _, kish, _ = influences(over, under, False)
    _, b, _, kish2, _ = influences(over2, under2, False)
    moved = [x - y for x, y in zip(a, b, strict=True)]
    assume(max(map(abs, moved)) > 1e-6)
    x, y = estimate(over, under), estimate(over2, under2)
    half = quantile(freedom(moved, min(kish, kish2))) * sqrt(sum(m * m for m in moved))
    middle = x.value - y.value
    expected = max(middle - half, -1), min(middle + half, 1)
    assert difference(x, y) == pytest.approx(expected, abs=1e-6)


def test_a_run_with_another_divisor_moves_by_as_much_less():
    """Two predicates of four counted: each image counts half as far."""
    over = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]] * 3)
    whole, half = Estimate(over, np.ones_like(over)), Estimate(over, np.ones_like(over), 4)
    nothing = Estimate(np.zeros_like(over), np.ones_like(over))
    low, high = difference(whole, nothing)
    low2, high2 = difference(half, nothing)
    assert (high2 - low2) == pytest.approx((high - low) / 2)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (low2 + high2) / 2 == pytest.approx(0.25)
    low3, high3 = difference(nothing, half)
    assert (low3, high3) == pytest.approx((-high2, -low2))


def test_exchanges_are_two_thousand_fair_ones_in_blocks(monkeypatch):
    assert EXCHANGES == 2000
    (whole,) = exchange._exchanges(30, 1)
    assert whole.shape == (2000, 30)
    assert set(np.unique(whole)) == {0, 1}
    assert abs(whole.mean() - 0.5) < 0.01
    assert not np.array_equal(whole, next(exchange._exchanges(30, 2)))
    known = np.random.default_rng([0, 1]).integers(0, 2, (2000, 30))
    assert np.array_equal(next(exchange._exchanges(30, 0)), known)
    # a block is a million cells at most: 1000 · 1000, and 100 · 9901 (101 · 9901 is one more)
    assert [len(next(exchange._exchanges(images, 1))) for images in (1000, 9901)] == [1000, 100]
    monkeypatch.setattr(exchange, "_BLOCK_CELLS", 9_030)
    blocks = list(exchange._exchanges(30, 1))
    assert [len(block) for block in blocks] == [301] * 6 + [194]
    monkeypatch.setattr(exchange, "_BLOCK_CELLS", 29)
    assert [len(block) for block in exchange._exchanges(30, 1)] == [1] * 2000


def test_blocks_change_no_difference_and_p_counts_every_one_of_them(monkeypatch):
    """Eight images of which run a wins all: 2 of 256 exchanges are as large; p is near 1/128."""
    a, b = estimate([[1.0]] * 8, [[1.0]] * 8), estimate([[0.0]] * 8, [[1.0]] * 8)
    (whole,) = compare([a], [b])
    assert [whole] == compare([a], [b], seed=0) != compare([a], [b], seed=1)
    monkeypatch.setattr(exchange, "_BLOCK_CELLS", 800)
    (parts,) = compare([a], [b])
    assert whole.difference == parts.difference == 1
    for found in (whole, parts):
        assert found.p == pytest.approx(1 / 128, abs=0.006)
        assert found.p > 1 / 2001


def test_an_exchange_moves_denominators_with_their_numerators():
    """Run a has 1 of 1 and 0 of 3 relations right, b 0 of 1 and 3 of 3; unchanged: 1/4 - 3/4.

    Exchanged in one image, 0/4 - 4/4 or 4/4 - 0/4; in both 3/4 - 1/4: no exchange is smaller, p is 1.
    """
    a, b = estimate([[1], [0]], [[1], [3]]), estimate([[0], [3]], [[1], [3]])
    (found,) = compare([a], [b])
    assert (found.difference, found.p) == (-0.5, 1)
    pair = exchange._Pair(a, b)
    ways = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert pair.differences(ways).tolist() == [-0.5, -1, 1, 0.5]
    wider = estimate([[0], [3]], [[4], [6]])
    # 1/4 - 3/10; 0/7 - 4/7; 4/7 - 0/7; 3/10 - 1/4
    found = exchange._Pair(a, wider).differences(ways)
    assert found.tolist() == pytest.approx([1 / 4 - 3 / 10, -4 / 7, 4 / 7, 3 / 10 - 1 / 4])
