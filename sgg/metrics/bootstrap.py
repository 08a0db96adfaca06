"""How sure a metric is: 95 % score intervals from one pass over the images, without resampling.

Input: `Estimate`s. Output: an interval for each, which holds its point. Wilson's score interval
(1927) of a proportion, at the number of images that would give a proportion the estimate's variance, as
surveys do it (Korn and Graubard 1998). The variance is that of deleting one image at a time; an image
more of binomial spread is added to each column, because a few images that agree do not prove that all do.
Where it depends on fewer images than a proportion's would, t quantiles make up for it, as theirs do.
A column that has lost its only image says nothing and is left out, never counted 0. What resampling does
instead, and how often each interval holds the truth: docs/metrics.md, `bench/intervals.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from sgg.metrics.recall import Estimate, Floats, Ints, ratios, sums

LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
_PRIOR = 2.0
"""Images at the mean of the columns that a column's recall is drawn towards, for its spread only."""


def interval(estimate: Estimate) -> tuple[float, float]:
    """95 % interval of an estimate; (0, 1) where nothing is counted."""
    found = _Influence.of(estimate)
    if found is None:
        return 0.0, 1.0
    low, high = wilson(found.point, found.images)
    return low * found.scale, high * found.scale


def wilson(share: float, images: float) -> tuple[float, float]:
    """Wilson's score interval of a share of `images` independent images, which need not be whole.

    >>> [round(end, 3) for end in wilson(0.5, 100)]
    [0.404, 0.596]
    """
    pull = _Z * _Z / images
    centre = (share + pull / 2) / (1 + pull)
    half = _Z / (1 + pull) * np.sqrt(share * (1 - share) / images + pull / (4 * images))
    return float(max(min(centre - half, share), 0.0)), float(min(max(centre + half, share), 1.0))


def difference(a: Estimate, b: Estimate) -> tuple[float, float]:
    """95 % interval of a's value less b's, the same images behind both; (-1, 1) if one counts nothing."""
    left, right = _Influence.of(a), _Influence.of(b)
    if left is None or right is None:
        return -1.0, 1.0
    moved = left.scale * left.by_image - right.scale * right.by_image
    freedom = _freedom(moved, min(left.kish, right.kish))
    half = _quantile(freedom) * float(np.sqrt((moved**2).sum()))
    middle = a.value - b.value
    return max(middle - half, -1.0), min(middle + half, 1.0)


@dataclass(frozen=True, slots=True)
class _Influence:
    """What single images do to an estimate, over the columns that are counted at all."""

    point: float
    """The mean over those columns."""
    scale: float
    """The value over `point`: less than 1 where absent columns count 0."""
    by_image: Floats
    """How far the point is moved by each image, shape (images,)."""
    variance: float
    """More than 0 where the point is neither 0 nor 1."""
    kish: float
    """As how many images of equal weight they count, however much some weigh."""

    @property
    def images(self) -> float:
        """As how many images of a proportion with this variance, and no better known."""
        spread = self.point * (1 - self.point)
        if spread <= 0:
            return self.kish
        images = spread / self.variance
        # a proportion's own variance has these degrees of freedom, by the same formula
        proportion = 2 * images / (1 / spread - 4) if spread < 0.25 else np.inf
        known = _quantile(proportion) / _quantile(_freedom(self.by_image, self.kish))
        return float(images * min(known, 1.0) ** 2)

    @classmethod
    def of(cls, estimate: Estimate) -> _Influence | None:
        """None where no column is counted, or one of a harmonic mean's is not."""
        total = estimate.denominator.sum(axis=0)
        shown = total > 0
        if not shown.any() or (estimate.harmonic and not shown.all()):
            return None
        over, under = estimate.numerator[:, shown], estimate.denominator[:, shown]
        total = total[shown]
        rates = over.sum(axis=0) / total
        slopes = estimate.slopes(rates)
        point = float(estimate.mean(rates))
        image, column = np.nonzero(under)  # few images have any one column: their cells suffice
        share = under[image, column] / total[column]
        residual = over[image, column] / total[column] - rates[column] * share
        moved = _deleted(estimate, rates, column, share, residual) * slopes[column]
        by_image = sums(image, moved, len(under))
        # each column's own variance, then the covariance of columns through images that they share
        weight = sums(column, share**2, len(rates))
        spread = ratios(sums(column, residual**2, len(rates)), 1 - weight)
        drawn = (rates / weight + _PRIOR * point) / (1 / weight + _PRIOR)
        own = float(slopes**2 @ (spread + drawn * (1 - drawn) * weight**3))
        shared = float((by_image**2).sum() - (moved**2).sum())
        pull = sums(image, share * slopes[column], len(under)) / slopes.sum()
        return cls(
            point=point,
            scale=len(rates) / (estimate.divisor or len(rates)),
            by_image=by_image,
            variance=own + max(shared, -own / 2),
            kish=1 / float((pull**2).sum()),
        )


def _deleted(
    estimate: Estimate, rates: Floats, column: Ints, share: Floats, residual: Floats
) -> Floats:
    """By how much each cell raises its column's rate: the rate less that without the cell's image.

    Without its only image a column is no part of the mean: it is compared with the other columns.
    """
    alone = share == 1
    moved = ratios(residual, 1 - share)
    if len(rates) > 1 and not estimate.harmonic:
        others = (rates.sum() - rates) / (len(rates) - 1)
        moved[alone] = (rates - others)[column[alone]]
    return moved


def _freedom(by_image: Floats, images: float) -> float:
    """Degrees of freedom of a variance that is the sum of squares over `images` images.

    By its own variance (Satterthwaite): the fewer images most of it comes from, the fewer.
    """
    squares = by_image**2
    total = squares.sum()
    if not total:
        return np.inf
    uneven = (squares**2).sum() / total**2 - 1 / images
    return float(2 / uneven) if uneven > 0 else np.inf


def _quantile(freedom: float) -> float:
    """Student's t at the level of the intervals."""
    return float(stdtrit(min(max(freedom, 1.0), 1e9), (1 + LEVEL) / 2))
