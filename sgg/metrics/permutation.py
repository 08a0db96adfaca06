"""Whether two runs differ, by exchanging their completions image by image (Good, Permutation Tests).

Input: the `Estimate`s of two runs on the same images. Output: their differences with intervals
(`metrics.bootstrap`), and the probability of one as large if the runs were exchangeable in each image.
All metrics share their exchanges. An exchanged pair of runs is measured as the protocol measures any run,
predicates that have no image left included: only so is the test exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgg.metrics.bootstrap import difference
from sgg.metrics.recall import Estimate, Floats

EXCHANGES = 2000
_BLOCK_CELLS = 1_000_000
"""Exchanges drawn at a time times images: bounds memory whatever the split."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two runs on the same images."""

    difference: float
    """Of the first to the second."""
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    """Two-sided, by exchanging the runs in random images; at least 1 / (exchanges + 1)."""


def compare(a: Sequence[Estimate], b: Sequence[Estimate], seed: int = 0) -> list[PairedTest]:
    """Compare run `a` with run `b`, metric by metric.

    >>> one = Estimate(np.ones((8, 1)), np.ones((8, 1)))
    >>> compare([one], [one])[0].p
    1.0
    """
    images = {len(e.numerator) for e in (*a, *b)}
    if len(images) != 1:
        raise ValueError(f"runs of {sorted(images)} images cannot be paired")
    pairs = [_Pair(*both) for both in zip(a, b, strict=True)]
    observed = np.array([x.value - y.value for x, y in zip(a, b, strict=True)])
    larger = np.zeros(len(pairs))
    for swapped in _exchanges(images.pop(), seed):
        drawn = np.stack([pair.differences(swapped) for pair in pairs], axis=1)
        larger += (np.abs(drawn) >= np.abs(observed) - 1e-9).sum(axis=0)
    return [
        PairedTest(float(found), *difference(x, y), (float(count) + 1) / (EXCHANGES + 1))
        for found, x, y, count in zip(observed, a, b, larger, strict=True)
    ]


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust the p of several tests so that any false positive among them is as rare as in one (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


class _Pair:
    """One metric of two runs, made ready to be exchanged in any images."""

    def __init__(self, a: Estimate, b: Estimate) -> None:
        self._runs = a, b
        self._over = _Moved(a.numerator, b.numerator)
        self._under = _Moved(a.denominator, b.denominator)

    def differences(self, swapped: Floats) -> Floats:
        """The difference after each exchange; `swapped` is 1 where the runs change places."""
        over, under = self._over.totals(swapped), self._under.totals(swapped)
        a, b = (run.reduced(o, u) for run, o, u in zip(self._runs, over, under, strict=True))
        return a - b


class _Moved:
    """Sums of two runs, and what an exchange moves from one to the other: only where they differ."""

    def __init__(self, a: Floats, b: Floats) -> None:
        self._totals = a.sum(axis=0), b.sum(axis=0)
        self._columns = np.flatnonzero((a != b).any(axis=0))
        self._images = np.flatnonzero((a != b).any(axis=1))
        self._gap = (a - b)[np.ix_(self._images, self._columns)]

    def totals(self, swapped: Floats) -> tuple[Floats, Floats]:
        """Sums of both runs after each exchange, shapes (exchanges, columns)."""
        first, second = self._totals
        moved = np.zeros((len(swapped), len(first)))
        moved[:, self._columns] = swapped[:, self._images] @ self._gap
        return first - moved, second + moved


def _exchanges(images: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of rows that say in which images the runs change places, EXCHANGES rows in all."""
    rng = np.random.default_rng([seed, 1])
    size = min(EXCHANGES, max(1, _BLOCK_CELLS // images))
    for start in range(0, EXCHANGES, size):
        count = min(size, EXCHANGES - start)
        yield rng.integers(0, 2, (count, images)).astype(np.float64)
