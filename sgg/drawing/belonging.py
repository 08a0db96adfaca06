"""Whether a relation's label reads as its own arrow's: by how much nearer it stands to it than to others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sgg.drawing.arrows import Point

Floats = NDArray[np.float64]


def dense(path: Sequence[Point], step: float) -> Floats:
    """Points along a line, at most `step` pixels apart, shape (points, 2)."""
    line = np.asarray(path, dtype=np.float64)
    parts = [
        start + (end - start) * np.linspace(0, 1, int(np.hypot(*(end - start)) / step) + 2)[:, None]
        for start, end in pairwise(line)
    ]
    return np.concatenate(parts)


def unclear(
    corners: Floats, size: tuple[float, float], own: Floats, others: Floats, clear: float
) -> Floats:
    """How much each place of a label could be another arrow's, 0 to 1, shape (places,).

    Args:
        corners: the upper left one of each place.
        size: width and height of the label.
        own: points of its arrow.
        others: points of all other arrows.
        clear: by how many pixels its arrow is nearer where nobody doubts.

    """
    from_own = _distances(corners, size, own)
    reach = from_own.max() + clear  # what is farther away raises no doubt
    low, high = corners.min(axis=0) - reach, corners.max(axis=0) + size + reach
    near = others[((others > low) & (others < high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(corners))
    ahead = _distances(corners, size, near) - from_own
    return np.clip(1 - ahead / clear, 0, 1)


def _distances(corners: Floats, size: tuple[float, float], points: Floats) -> Floats:
    """How far each place is from the nearest of some points; 0 where it covers one."""
    squares = np.zeros((len(corners), len(points)))
    for axis, side in enumerate(size):
        middle = corners[:, axis, None] + side / 2
        gaps = np.maximum(np.abs(middle - points[:, axis]) - side / 2, 0)
        squares += gaps * gaps
    return np.sqrt(squares.min(axis=1))
