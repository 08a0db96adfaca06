"""Slurm for a program that looks often: the controller of a cluster is asked every ten seconds at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from launchers.slurm.queue import JobState, QueuePlace, ask_slurm, place_in_queue

T = TypeVar("T")

EVERY_S = 10.0
_SHARE = 10.0
"""Times the duration of the last answer that pass before the next question."""


class SlurmLooks:
    """Answers of Slurm, asked anew where they are old enough or other jobs are meant."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._due_s: dict[str, float] = {}
        self._jobs: frozenset[str] = frozenset()
        self._states: dict[str, JobState] | None = None
        self._place: tuple[str, QueuePlace | None] = ("", None)

    def states(self, jobs: Collection[str]) -> dict[str, JobState] | None:
        """As of `ask_slurm`."""
        if self._is_due("states", frozenset(jobs) != self._jobs):
            self._jobs = frozenset(jobs)
            self._states = self._timed("states", lambda: ask_slurm(jobs))
        return self._states

    def place(self, job: str) -> QueuePlace | None:
        """As of `place_in_queue`."""
        if self._is_due("place", job != self._place[0]):
            self._place = (job, self._timed("place", lambda: place_in_queue(job)))
        return self._place[1]

    def _is_due(self, what: str, is_other: bool) -> bool:
        return is_other or self._clock() >= self._due_s.get(what, 0.0)

    def _timed(self, what: str, ask: Callable[[], T]) -> T:
        began = self._clock()
        answer = ask()
        ended = self._clock()
        self._due_s[what] = ended + max(EVERY_S, _SHARE * (ended - began))
        return answer
