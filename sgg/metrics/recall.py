"""Recall and its relatives over a data set, as ratios of sums over images.

Input: a `Tally`. Output: `Estimate`s: per image a numerator and a denominator in each of a few
columns. A value is the mean over columns of Σ numerator / Σ denominator, so one form serves recall (one
column), mean recall (one column a predicate), rates, F1 (a harmonic mean), intervals and paired tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sgg.config.protocol import Absent, ProtocolConfig, WithoutPrediction
from sgg.metrics.hits import NEVER
from sgg.metrics.tally import COMPLETION_COLUMNS, Tally
from sgg.scene.vocab import canonical

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric that is a mean of ratios of sums over images."""

    numerator: Floats
    """Shape (images, columns); at most the denominator."""
    denominator: Floats
    divisor: int | None = None
    """Columns to divide by, where absent ones count 0; None for those in which anything is counted."""
    harmonic: bool = False
    """Whether the mean is harmonic, of two columns: F1."""

    @property
    def value(self) -> float:
        """The metric; 0 if nothing is counted."""
        return float(self.reduced(self.numerator.sum(axis=0), self.denominator.sum(axis=0)))

    def reduced(self, numerator: Floats, denominator: Floats) -> Floats:
        """The metric from sums over images, shapes (…, columns): what the protocol says, absent or not."""
        rates = ratios(numerator, denominator)
        if self.harmonic:
            return self.mean(rates)
        shown = (denominator > 0).sum(axis=-1)
        return rates.sum(axis=-1) / np.maximum(shown if self.divisor is None else self.divisor, 1)

    def mean(self, rates: Floats) -> Floats:
        """The mean of the last axis, as `harmonic` says."""
        if not self.harmonic:
            return rates.mean(axis=-1)
        return ratios(2 * rates.prod(axis=-1), rates.sum(axis=-1))

    def slopes(self, rates: Floats) -> Floats:
        """By how much the mean grows with each of the rates, shape (columns,)."""
        if not self.harmonic or not rates.any():
            return np.full(len(rates), 1 / len(rates))
        return np.asarray(2 * (rates[::-1] / rates.sum()) ** 2)


def ratios(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


class Recalls:
    """Estimates from one tally under one protocol."""

    def __init__(
        self, tally: Tally, protocol: ProtocolConfig, predicates: Sequence[str] | None, images: int
    ) -> None:
        """`predicates` of the vocabulary, or None for those in gold; `images` in the split."""
        self._tally, self._protocol, self._images = tally, protocol, images
        self.gold_counts = np.bincount(tally.predicate, minlength=len(tally.names))
        shown = [tally.names[i] for i in np.flatnonzero(self.gold_counts)]
        vocabulary = [canonical(p) for p in predicates] if predicates is not None else sorted(shown)
        self.predicates = vocabulary + sorted(set(shown) - set(vocabulary))
        """Canonical predicates, the vocabulary's first, then what else gold holds."""
        place = {name: i for i, name in enumerate(self.predicates)}
        self.column_of = np.array([place.get(name, -1) for name in tally.names], dtype=np.int64)
        skipped = protocol.without_prediction is WithoutPrediction.skip
        self.counted = (
            tally.has_prediction if skipped else np.ones(len(tally.has_prediction), dtype=bool)
        )
        """Completions that count."""
        left_out = protocol.without_prediction is WithoutPrediction.zero_in_recall
        self._averaged_over = self.counted & ~tally.missing if left_out else self.counted
        inside = range(len(vocabulary))
        present = protocol.absent is Absent.present
        self.averaged = [c for c in inside if not present or self.predicates[c] in set(shown)]
        """Which of `predicates` mean recall averages."""

    def hits(self, ranked: str, k: int | None) -> Flags:
        """Which gold relations are hit within the first k of what was ranked."""
        ranks = self._tally.ranks[ranked]
        return ranks < (NEVER if k is None else k)

    def recall(self, ranked: str, k: int | None, among: Flags | None = None) -> Estimate:
        """R@k: mean over completions of the share of gold relations hit; `among` picks relations (zR)."""
        owner, hit = self._tally.owner, self.hits(ranked, k)
        if among is not None:
            owner, hit = owner[among], hit[among]
        completions = len(self._tally.image)
        gold = np.bincount(owner, minlength=completions)
        found = sums(owner, hit, completions)
        usable = (gold > 0) & self.counted
        shares = ratios(found, gold.astype(np.float64)) * usable
        return Estimate(self._by_image(shares), self._by_image(usable))

    def mean_recall(
        self, ranked: str, k: int | None, columns: Sequence[int] | None = None
    ) -> Estimate:
        """mR@k: per predicate the mean over completions that have it in gold, then over predicates.

        `columns` are those of `predicates` to average, all of `averaged` if None.
        """
        over, under = self._by_predicate(ranked, k)
        chosen = self.averaged if columns is None else list(columns)
        divisor = None if self._protocol.absent is Absent.present else len(chosen)
        return Estimate(over[:, chosen], under[:, chosen], divisor)

    def _by_predicate(self, ranked: str, k: int | None) -> tuple[Floats, Floats]:
        """Sum of recalls and count of completions by image and predicate."""
        usable, place, gold, at, counts = self._cells
        shares = sums(place, self.hits(ranked, k)[usable], len(gold)) / gold
        return sums(at, shares, counts.size).reshape(counts.shape), counts

    @cached_property
    def _cells(self) -> tuple[Flags, Ints, Ints, Ints, Floats]:
        """Gold relations grouped by completion and predicate, the same for all ranks and cutoffs.

        Which relations count; the group of each; each group's size and place in the table of images
        and predicates; the groups in each place of that table.
        """
        width = len(self.predicates)
        usable = self._averaged_over[self._tally.owner]
        keys = self._tally.owner * width + self.column_of[self._tally.predicate]
        cells, place, gold = np.unique(keys[usable], return_inverse=True, return_counts=True)
        at = self._tally.image[cells // width] * width + cells % width if width else cells
        counts = sums(at, np.ones(len(at)), self._images * width)
        return usable, place, gold, at, counts.reshape(self._images, width)

    def predicate_recalls(self, ranked: str, k: int | None) -> dict[str, float]:
        """The columns of mean recall for predicates that gold shows."""
        over, under = self._by_predicate(ranked, k)
        values = ratios(over.sum(axis=0), under.sum(axis=0)).tolist()
        return {
            name: value
            for name, value, shown in zip(self.predicates, values, under.sum(axis=0), strict=True)
            if shown
        }

    def pooled_mean_recall(self, ranked: str, k: int | None) -> Estimate:
        """Hits over gold relations of each predicate in the whole split, mean over those present."""
        width = len(self.predicates)
        place = self._tally.image[self._tally.owner] * width + self.column_of[self._tally.predicate]
        shape = self._images, width
        found = sums(place, self.hits(ranked, k), self._images * width).reshape(shape)
        return Estimate(found, sums(place, np.ones(len(place)), found.size).reshape(shape))

    def precision(self, k: int | None) -> Estimate:
        """Right predicted relations among the first k over all of the first k, pooled."""
        if k is None:
            return self.rate("correct", "predicted")
        column = len(COMPLETION_COLUMNS) + 2 * self._protocol.cutoffs.index(k)
        counts = self._tally.counts
        return Estimate(self._by_image(counts[:, column]), self._by_image(counts[:, column + 1]))

    def f1(self, k: int | None) -> Estimate:
        """Harmonic mean of precision@k and R@k; 0 if either is."""
        parts = self.precision(k), self.recall("sgdet", k)
        over, under = (
            np.concatenate(columns, axis=1)
            for columns in zip(*((p.numerator, p.denominator) for p in parts), strict=True)
        )
        return Estimate(over, under, harmonic=True)

    def rate(self, part: str, whole: str) -> Estimate:
        """One of `COMPLETION_COLUMNS` over another, pooled over the split."""
        return Estimate(self._by_image(self.column(part)), self._by_image(self.column(whole)))

    def column(self, name: str) -> NDArray[np.int64]:
        """One of `COMPLETION_COLUMNS`, by completion."""
        return self._tally.counts[:, COMPLETION_COLUMNS.index(name)]

    def mean_of(self, values: NDArray[np.generic]) -> Estimate:
        """The mean over completions of a value for each."""
        return Estimate(self._by_image(values), self._by_image(np.ones(len(values))))

    def _by_image(self, values: NDArray[np.generic]) -> Floats:
        return sums(self._tally.image, values, self._images)[:, None]


def sums(places: NDArray[np.int64], values: NDArray[np.generic], count: int) -> Floats:
    """Sum of the values at each of `count` places."""
    sums = np.bincount(places, weights=values.astype(np.float64), minlength=count)
    return np.asarray(sums, dtype=np.float64)
