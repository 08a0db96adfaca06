"""Intervals and tests by resampling images (Efron 1979; Good, Permutation Tests).

Comes in: `Estimate`s of the same images. Goes out: percentile intervals, and for two runs the interval
of their difference and the probability of one as large if the runs were exchangeable image by image.
All estimates share their resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgg.metric.recall import Estimate, ratios

Floats = NDArray[np.float64]

RESAMPLES = 2000
_BLOCK_CELLS = 1_000_000
"""Weights drawn at a time (resamples × images): bounds memory whatever the split."""


def interval(values: Sequence[float], level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-image values; (0, 0) without any."""
    if not len(values):
        return 0.0, 0.0
    column = np.asarray(values, dtype=np.float64)[:, None]
    return intervals([Estimate(column, np.ones_like(column), 1)], level, seed)[0]


def intervals(
    estimates: Sequence[Estimate], level: float = 0.95, seed: int = 0
) -> list[tuple[float, float]]:
    """Percentile bootstrap interval of each estimate."""
    sums = _Sums(estimates)
    drawn = np.concatenate([sums.values(w) for w in _resamples(sums.images, seed)])
    return [_ends(column, level) for column in drawn.T]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same images."""

    difference: float
    """Of the first to the second."""
    low: float
    high: float
    """95 % bootstrap interval of the difference, images resampled in pairs."""
    p: float
    """Two-sided, by exchanging the runs in random images; at least 1 / (resamples + 1)."""


def compare(a: Sequence[Estimate], b: Sequence[Estimate], seed: int = 0) -> list[Comparison]:
    """Compare run `a` with run `b`, metric by metric.

    >>> one = Estimate(np.ones((8, 1)), np.ones((8, 1)), 1)
    >>> compare([one], [one])[0].p
    1.0
    """
    left, right = _Sums(a), _Sums(b)
    if left.images != right.images:
        raise ValueError(f"runs of {left.images} and {right.images} images cannot be paired")
    drawn = np.concatenate(
        [left.values(w) - right.values(w) for w in _resamples(left.images, seed)]
    )
    whole = np.ones((1, left.images), dtype=np.float32)
    observed = (left.values(whole) - right.values(whole))[0]
    larger = np.zeros(len(a))
    rng = np.random.default_rng([seed, 1])
    for count in _blocks(left.images):
        swapped = rng.integers(0, 2, (count, left.images)).astype(np.float32)
        stays = 1 - swapped
        exchanged = _mixed(left, right, stays, swapped) - _mixed(right, left, stays, swapped)
        larger += (np.abs(exchanged) >= np.abs(observed) - 1e-6).sum(axis=0)
    found = []
    for i, column in enumerate(drawn.T):
        low, high = _ends(column, 0.95)
        p = (float(larger[i]) + 1) / (RESAMPLES + 1)
        found.append(Comparison(float(observed[i]), low, high, p))
    return found


class _Sums:
    """Several estimates as two matrices, so that a block of weights needs two products."""

    def __init__(self, estimates: Sequence[Estimate]) -> None:
        self.images = len(estimates[0].numerator)
        widths = [e.numerator.shape[1] for e in estimates]
        self._starts = np.cumsum([0, *widths])[:-1]
        self._divisors = np.array([max(e.divisor, 1) for e in estimates], dtype=np.float64)
        # single precision: intervals need four digits, and the matrices are the largest thing here
        self._over = np.concatenate([e.numerator for e in estimates], axis=1, dtype=np.float32)
        self._under = np.concatenate([e.denominator for e in estimates], axis=1, dtype=np.float32)

    def sums(self, weights: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Weighted sums of numerators and denominators, one row a resample."""
        over, under = weights @ self._over, weights @ self._under
        return over.astype(np.float64), under.astype(np.float64)

    def values(self, weights: NDArray[np.float32]) -> Floats:
        """Each estimate under each row of image weights, shape (rows, estimates)."""
        return self.reduce(*self.sums(weights))

    def reduce(self, over: Floats, under: Floats) -> Floats:
        """Estimates from sums."""
        return np.add.reduceat(ratios(over, under), self._starts, axis=1) / self._divisors


def _mixed(a: _Sums, b: _Sums, from_a: NDArray[np.float32], from_b: NDArray[np.float32]) -> Floats:
    over_a, under_a = a.sums(from_a)
    over_b, under_b = b.sums(from_b)
    return a.reduce(over_a + over_b, under_a + under_b)


def _resamples(images: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of rows of how often each image was drawn, RESAMPLES rows in all."""
    rng = np.random.default_rng(seed)
    for count in _blocks(images):
        drawn = rng.integers(0, images, (count, images)) + np.arange(count)[:, None] * images
        times = np.bincount(drawn.ravel(), minlength=count * images)
        yield times.reshape(count, images).astype(np.float32)


def _blocks(images: int) -> Iterator[int]:
    size = min(RESAMPLES, max(1, _BLOCK_CELLS // max(images, 1)))
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)


def _ends(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
