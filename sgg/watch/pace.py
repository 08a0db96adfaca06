"""How fast a run goes and how long it still takes.

Only time in which the run was at work counts, not what it has spent in a queue between two starts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_LATEST = 20
"""Logged steps, and looks at the run, that the rate is of."""
_LONG_ENOUGH_S = 10.0
"""What was seen within a shorter time says nothing: several rows may reach the disk at once."""


class Pace:
    """Seconds per step, from what is seen and from what the run logs."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=_LATEST)
        self._logged: deque[float] = deque(maxlen=_LATEST)

    def forget(self) -> None:
        """Another start has begun: neither the pause nor the earlier start counts."""
        self._seen.clear()
        self._logged.clear()

    def log(self, seconds_per_step: float) -> None:
        """What a row of the curves says."""
        if 0 < seconds_per_step < float("inf"):
            self._logged.append(seconds_per_step)

    def see(self, now_s: float, step: int) -> None:
        """The run is at this step now; looks at which it has not moved are left out."""
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or step > self._seen[-1][1]:
            self._seen.append((now_s, step))

    def per_step_s(self, whole: tuple[float, int] | None = None) -> float | None:
        """Seconds per step: as seen, else as logged, else over the whole start; None if unknown.

        Args:
            whole: seconds that the start has taken, and the steps that it has made in them.

        """
        if len(self._seen) > 1:
            (began, first), (ended, last) = self._seen[0], self._seen[-1]
            if ended - began >= _LONG_ENOUGH_S:
                return (ended - began) / (last - first)
        if self._logged:
            return sum(self._logged) / len(self._logged)
        if whole is not None and whole[1] > 0 and whole[0] > 0:
            return whole[0] / whole[1]
        return None


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    unit: str
    """step, or completion."""
    done: int
    total: int | None
    per_unit_s: float | None
    """Seconds for each at the latest rate."""
    since_last_s: float
    """Seconds since the last one was logged."""

    @property
    def left_s(self) -> float | None:
        """Seconds until the end, if it goes on at this rate; None if unknown."""
        if self.total is None or self.per_unit_s is None:
            return None
        left = max(0, self.total - self.done) * self.per_unit_s
        return max(0.0, left - min(self.since_last_s, self.per_unit_s))
