"""A curve in bounded memory, and as one line of text.

Input: numbers one by one. Output: first and last value, and means of equal stretches, drawn as blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

BARS = "▁▂▃▄▅▆▇█"
_MOST = 512
"""Means that are kept: twice what a wide terminal shows."""


class Series:
    """The values of one name, in the order of their steps."""

    def __init__(self) -> None:
        self.first: float | None = None
        """None before a finite value."""
        self.last: float | str = ""
        """A word (`nan`, `inf`) where the last value is not finite."""
        self._means: list[float] = []
        self._stride = 1
        self._sum, self._count = 0.0, 0

    def add(self, value: float | str) -> None:
        """The next value; a word is kept as the last one, but not drawn."""
        self.last = value if isinstance(value, str) or isfinite(value) else str(value)
        if isinstance(self.last, str):
            return
        value = self.last
        if self.first is None:
            self.first = value
        self._sum += value
        self._count += 1
        if self._count == self._stride:
            self._means.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._means) == _MOST:
            pairs = zip(self._means[::2], self._means[1::2], strict=True)
            self._means = [(a + b) / 2 for a, b in pairs]
            self._stride *= 2

    def means(self, number: int) -> list[float]:
        """At most `number` means, of stretches of equal length (the last one may be shorter)."""
        values = [*self._means, *([self._sum / self._count] if self._count else [])]
        length = -(-len(values) // number) if values else 1
        parts = [values[i : i + length] for i in range(0, len(values), length)]
        return [sum(part) / len(part) for part in parts]


def sparkline(values: Sequence[float]) -> str:
    """A block for each value, from the lowest to the highest of them; equal ones in the middle.

    >>> sparkline([0, 1, 2, 7])
    '▁▂▃█'
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low
    if not 0 < span < float("inf"):
        return BARS[3] * len(values)
    return "".join(BARS[min(7, int((value - low) / span * 8))] for value in values)
