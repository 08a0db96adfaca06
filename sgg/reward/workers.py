"""Batches of completions -> rewards, in this process or in several, with the same numbers.

Groups (all completions for one image) are the unit of work. Workers start on the first batch that is large
enough, as fresh processes: forking a trainer that holds a GPU is not safe. Below MIN_COMPLETIONS sending
texts and rewards between processes costs more than it saves (docs/rewards.md).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby

from sgg.reward.score import Group, Reward, RewardSpec, Scorer
from sgg.scene.graph import SceneGraph
from sgg.text.codec import GraphSpec

MIN_COMPLETIONS = 1000
"""Completions in a batch from which on workers are used."""


def groups_of(
    texts: Sequence[str],
    golds: Sequence[SceneGraph],
    widths: Sequence[int],
    heights: Sequence[int],
) -> list[Group]:
    """Rows in order, cut where the gold or the image's size changes."""
    rows = zip(texts, golds, widths, heights, strict=True)
    return [
        Group([row[0] for row in group], *key)
        for key, group in groupby(rows, key=lambda row: row[1:])
    ]


class BatchScorer:
    """Scores batches of groups; `workers` processes where that pays, 0 for none."""

    def __init__(self, mix: RewardSpec, spec: GraphSpec, workers: int = 0) -> None:
        self._scorer = Scorer(mix, spec)
        self._arguments = (mix, spec)
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def rewards(self, groups: Sequence[Group]) -> list[Reward]:
        """One reward per completion, in order."""
        completions = sum(len(group.texts) for group in groups)
        if not self._workers or completions < MIN_COMPLETIONS:
            return self._scorer.groups(groups)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=self._arguments,
            )
        parts = self._pool.map(_score, _chunks(groups, self._workers))
        return [reward for part in parts for reward in part]

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _chunks(groups: Sequence[Group], count: int) -> Iterator[Sequence[Group]]:
    """At most `count` of them, as equal as can be but for the last."""
    size = -(-len(groups) // count)
    return (groups[i : i + size] for i in range(0, len(groups), size))


_scorers: list[Scorer] = []
"""This worker's own; filled once when it starts."""


def _start(mix: RewardSpec, spec: GraphSpec) -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm's warning; the rank saves and ends us
    _scorers[:] = [Scorer(mix, spec)]


def _score(groups: Sequence[Group]) -> list[Reward]:
    (scorer,) = _scorers
    return scorer.groups(groups)
