"""One configuration against a baseline: a paired test on the same images, seed by seed.

Input: the evaluations of two configurations, one a seed. Output: the difference of their triplet recalls. The
test exchanges the two in random images, all seeds of an image together, so it asks whether these trained
models differ on such images. Whether the configurations differ over other seeds is what the interval over
seeds says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sgg.evaluation.verdict import LEVEL, signed, verdict
from sgg.metrics.permutation import compare
from sgg.metrics.recall import Estimate
from sgg.metrics.seeds import half_width
from sgg.report.scored_runs import ScoredRun
from sgg.runs.records import PerImage


@dataclass(frozen=True)
class BaselineTest:
    """Triplet recall of a configuration less that of the baseline."""

    before: float
    """Recall of the baseline, mean over the seeds that are compared."""
    after: float
    low: float
    high: float
    """95 % interval of the difference over images."""
    p: float
    """Of the permutation test."""
    images: int
    seeds: tuple[str, ...]
    """Seeds that both have and that are compared; empty where they share none and all are."""
    half_width: float | None
    """Half of the 95 % t interval of the difference over the shared seeds; None for fewer than two."""
    scope: str = ""
    """Such as "seeds 0, 1 only" where one side has results of further seeds, which its mean has and the
    test has not."""
    p_holm: float = 1.0
    """p adjusted for the number of configurations that are compared with the baseline (Holm)."""

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def over_seeds(self) -> tuple[float, float] | None:
        """95 % t interval of the difference over seeds; None for fewer than two."""
        half = self.half_width
        return None if half is None else (self.difference - half, self.difference + half)

    @property
    def is_real(self) -> bool:
        """Whether the images tell the two apart, and the seeds, where there are several, do not object."""
        return self.p_holm <= LEVEL and not self._may_not_repeat

    @property
    def _may_not_repeat(self) -> bool:
        return self.over_seeds is not None and self.over_seeds[0] <= 0 <= self.over_seeds[1]

    def verdict(self, name: str, baseline: str) -> str:
        """One sentence on the images, and what the seeds say where there are several."""
        said = verdict(
            (name, baseline),
            (self.after, self.before),
            (self.low, self.high),
            self.p_holm,
            self.images,
        )
        if self.scope:
            said += f"; {self.scope}"
        if self.over_seeds is None:
            return said
        low, high = self.over_seeds
        over = f"over {len(self.seeds)} seeds {signed(low)} to {signed(high)}"
        if self.p_holm <= LEVEL and self._may_not_repeat:
            over += ", so other seeds may not repeat it"
        return f"{said}; {over}"


def against(runs: Sequence[ScoredRun], baseline: Sequence[ScoredRun]) -> BaselineTest | str:
    """Compare one configuration with the baseline; why not, in a few words, where that cannot be.

    Args:
        runs: its evaluations.
        baseline: those of the baseline.

    """
    ours, theirs = _by_seed(runs), _by_seed(baseline)
    if not ours or not theirs:
        return f"no results by image {'of the baseline' if ours else 'are there'}"
    shared = tuple(seed for seed in ours if seed in theirs)
    first = [ours[seed] for seed in shared] if shared else [*ours.values()]
    second = [theirs[seed] for seed in shared] if shared else [*theirs.values()]
    if not _are_of_one_protocol([*first, *second]):
        return "another protocol than the baseline's"
    a, b = ([run.images for run in side if run.images] for side in (first, second))
    if len({tuple(one.image_ids) for one in (*a, *b)}) != 1:
        return "other images than the baseline's"
    ours_pooled, theirs_pooled = _pooled(a), _pooled(b)
    (found,) = compare([ours_pooled], [theirs_pooled])
    gaps = [_recall(x) - _recall(y) for x, y in zip(a, b, strict=True)] if shared else []
    return BaselineTest(
        theirs_pooled.value,
        ours_pooled.value,
        found.low,
        found.high,
        found.p,
        len(a[0].image_ids),
        shared,
        half_width(gaps) if len(gaps) > 1 else None,
        _scope(shared, [*runs, *baseline]),
    )


def _by_seed(runs: Sequence[ScoredRun]) -> dict[str, ScoredRun]:
    return {run.seed: run for run in runs if run.images is not None}


def _scope(shared: Sequence[str], runs: Sequence[ScoredRun]) -> str:
    """What is left out where both have some seeds, and one has more; else empty."""
    scored = {run.seed for run in runs if run.metrics is not None}
    if not shared or scored == {*shared}:
        return ""
    return f"seed{'s' if len(shared) > 1 else ''} {', '.join(shared)} only"


def _are_of_one_protocol(runs: Sequence[ScoredRun]) -> bool:
    protocols = [run.config.protocol for run in runs if run.config is not None]
    return len(protocols) == len(runs) and all(one == protocols[0] for one in protocols)


def _pooled(seeds: Sequence[PerImage]) -> Estimate:
    """Recall of the images, mean over seeds."""
    over, under = (
        np.mean([getattr(one, name) for one in seeds], axis=0)[:, None]
        for name in ("recall_sum", "recall_count")
    )
    return Estimate(over, under)


def _recall(one: PerImage) -> float:
    count = sum(one.recall_count)
    return sum(one.recall_sum) / count if count else 0.0
