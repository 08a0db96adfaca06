"""One run compared with another on the same images: verdict, metrics, predicates, images that changed.

Input: two `Scored` of one split and protocol. Output: a `Comparison`. "Before" is the baseline, "after" the
run that is compared with it; a difference is after less before. The verdict is about one metric that is named
beforehand, recall without a cutoff; the other metrics stand beside it, their p adjusted for their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from sgg.evaluation.score import RECALL, Scored
from sgg.evaluation.verdict import LEVEL, verdict
from sgg.metrics.found import Found
from sgg.metrics.permutation import compare, holm
from sgg.metrics.recall import Ints

Change = Literal["fixed", "broken", "both_right", "both_wrong", "malformed"]
"""What became of an image, see `ImageChange.change`."""


@dataclass(frozen=True)
class MetricDifference:
    """One metric of both runs."""

    name: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    """95 % interval of the difference."""
    p: float
    """Of the paired permutation test, two-sided."""
    p_holm: float | None
    """p adjusted for the number of metrics beside the main one (Holm); a cutoff that cuts nothing makes no
    metric of its own. None for the main one."""

    @property
    def is_real(self) -> bool:
        """Whether the test tells the runs apart."""
        return (self.p if self.p_holm is None else self.p_holm) <= LEVEL


@dataclass(frozen=True)
class PredicateDifference:
    """The gold relations of one predicate, and how many each run finds."""

    predicate: str
    gold: int
    before: float
    """Gold relations found: whole numbers with one completion an image, else means over completions."""
    after: float


@dataclass(frozen=True)
class ImageChange:
    """What became of one image."""

    image_id: str
    change: Change
    """`malformed`: each of the run's completions failed as a whole. Else `fixed`: the run finds more gold
    relations than the baseline; `broken`: fewer; `both_right`: as many, and all; `both_wrong`: as many, and
    not all."""
    gold: int
    """Gold relations."""
    before: float
    """Those that the baseline finds, mean over its completions."""
    after: float
    gained: tuple[int, ...]
    """Places in the image's gold of relations that more of the run's completions find."""
    lost: tuple[int, ...]
    """Of those that fewer find."""


@dataclass(frozen=True)
class Comparison:
    """What two runs on the same images differ in."""

    after_name: str
    before_name: str
    metrics: dict[str, MetricDifference]
    """By name; each metric that both runs have and that can be tested."""
    predicates: list[PredicateDifference]
    """Each predicate that gold shows, in the order of what was gained, most first."""
    images: list[ImageChange]
    """Each image, in the split's order."""

    @property
    def main(self) -> MetricDifference:
        """The metric that decides."""
        return self.metrics[RECALL]

    @property
    def verdict(self) -> str:
        """One sentence: whether one run is better, by how much, and how sure that is."""
        main = self.main
        return verdict(
            (self.after_name, self.before_name),
            (main.after, main.before),
            (main.low, main.high),
            main.p,
            len(self.images),
        )

    @property
    def counts(self) -> dict[Change, int]:
        """Images by what became of them."""
        counts: dict[Change, int] = dict.fromkeys(CHANGES, 0)
        for image in self.images:
            counts[image.change] += 1
        return counts

    def flipped(self) -> list[ImageChange]:
        """Images whose gold relations are found otherwise, the largest gain of the run first."""
        changed = [image for image in self.images if image.gained or image.lost]
        return sorted(changed, key=lambda image: image.before - image.after)


CHANGES: tuple[Change, ...] = ("fixed", "broken", "both_right", "both_wrong", "malformed")


def compare_scored(
    a: Scored, b: Scored, names: tuple[str, str] = ("the run", "the baseline")
) -> Comparison:
    """Compare run `a` with the baseline `b`, both scored on one split by one protocol.

    Args:
        a: the run that may be better.
        b: the baseline.
        names: what a verdict calls a and b.

    Raises:
        ValueError: they are of different images or gold relations.

    """
    if a.found.image_ids != b.found.image_ids or a.found.predicates != b.found.predicates:
        raise ValueError("runs of different images or gold cannot be compared")
    return Comparison(
        *names, _metrics(a, b), [*_predicates(a.found, b.found)], [*_images(a.found, b.found)]
    )


def _metrics(a: Scored, b: Scored) -> dict[str, MetricDifference]:
    names = [name for name in a.estimates if name in b.estimates]
    tests = compare([a.estimates[n] for n in names], [b.estimates[n] for n in names])
    values = {n: (b.estimates[n].value, a.estimates[n].value) for n in names}
    results = {n: (*values[n], *astuple(test)) for n, test in zip(names, tests, strict=True)}
    kinds = {n: (n.partition("@")[0], results[n]) for n in names}
    others = sorted({kind for kind in kinds.values() if kind != kinds[RECALL]})
    adjusted = dict(zip(others, holm([result[-1] for _, result in others]), strict=True))
    return {
        name: MetricDifference(name, before, after, gap, low, high, p, adjusted.get(kinds[name]))
        for name, (before, after, gap, low, high, p) in results.items()
    }


def _predicates(a: Found, b: Found) -> Iterator[PredicateDifference]:
    after, before = a.by_predicate(), b.by_predicate()
    rows = [PredicateDifference(n, gold, before[n][1], hits) for n, (gold, hits) in after.items()]
    yield from sorted(rows, key=lambda row: (row.before - row.after, -row.gold, row.predicate))


def _images(a: Found, b: Found) -> Iterator[ImageChange]:
    images = len(a.image_ids)
    counts = np.bincount(a.image, minlength=images)
    ends = np.cumsum(counts)
    for i, (image_id, end, gold) in enumerate(zip(a.image_ids, ends, counts, strict=True)):
        rows = slice(end - gold, end)
        after, before = a.share[rows], b.share[rows]
        yield ImageChange(
            image_id,
            _change(float(after.sum()), float(before.sum()), int(gold), bool(a.failed[i] == 1)),
            int(gold),
            float(before.sum()),
            float(after.sum()),
            _places(np.flatnonzero(after > before)),
            _places(np.flatnonzero(after < before)),
        )


def _change(after: float, before: float, gold: int, has_failed: bool) -> Change:
    if has_failed:
        return "malformed"
    if np.isclose(after, before):
        return "both_right" if np.isclose(after, gold) else "both_wrong"
    return "fixed" if after > before else "broken"


def _places(found: Ints) -> tuple[int, ...]:
    return tuple(int(i) for i in found)
