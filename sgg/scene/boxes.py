"""Boxes: overlap measures, and the coordinate frames that models write in.

Everything is (x1, y1, x2, y2), batched numpy, plain (no +1) areas. A frame is stated, never
guessed: which one a model family writes is in `sgg.models.families`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgg.config.model import Frame

Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """A frame and what decides its size: the pixel budget of the image processor."""

    frame: Frame
    min_pixels: int = 56 * 56
    max_pixels: int = 1280 * 28 * 28
    factor: int | None = None
    """Patch size × merge size of the vision tower, in pixels; only `Frame.resized_px` has one."""

    def __post_init__(self) -> None:
        if self.frame is Frame.resized_px and self.factor is None:
            raise ValueError("frame=resized_px needs the factor that sides are multiples of")
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ValueError(
                f"min_pixels={self.min_pixels} must be positive and at most "
                f"max_pixels={self.max_pixels}"
            )

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the frame for an image of that size: the largest x and y."""
        if self.frame is Frame.norm1000:
            return 1000, 1000
        if self.frame is Frame.original_px:
            return width, height
        assert self.factor is not None
        return resized_size(width, height, self.min_pixels, self.max_pixels, self.factor)

    def encode(self, boxes_px: NDArray[Any], width: int, height: int) -> NDArray[np.int64]:
        """Original pixels -> whole numbers of the frame, shape (n, 4), clipped to the frame.

        A box that rounding would flatten is rounded outward: a target without area teaches a fault.
        """
        frame_w, frame_h = self.size(width, height)
        scale = np.array([frame_w / width, frame_h / height] * 2)
        limit = np.array([frame_w, frame_h] * 2)
        scaled = np.asarray(boxes_px, dtype=np.float64).reshape(-1, 4) * scale
        rounded = np.floor(scaled + 0.5)
        outward = np.concatenate([np.floor(scaled[:, :2]), np.ceil(scaled[:, 2:])], axis=1)
        flat = np.tile(rounded[:, :2] == rounded[:, 2:], 2)
        return np.clip(np.where(flat, outward, rounded), 0, limit).astype(np.int64)

    def decode(self, boxes: NDArray[Any], width: int, height: int) -> Boxes:
        """Numbers of the frame -> original pixels, shape (n, 4); not clipped."""
        frame_w, frame_h = self.size(width, height)
        scale = np.array([width / frame_w, height / frame_h] * 2)
        return np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * scale


def resized_size(
    width: int, height: int, min_pixels: int, max_pixels: int, factor: int
) -> tuple[int, int]:
    """(width, height) after Qwen's resize: multiples of `factor`, area within the budget.

    Both sides are rounded to the factor; if the area then leaves the budget, both shrink (floor) or
    grow (ceil) by the same ratio. Equal to the processors' own rule up to their refusal of aspect
    ratios above 200, which `data.clean` reports.
    """
    w = round(width / factor) * factor
    h = round(height / factor) * factor
    if w * h > max_pixels:
        ratio = math.sqrt(width * height / max_pixels)
        w = max(factor, math.floor(width / ratio / factor) * factor)
        h = max(factor, math.floor(height / ratio / factor) * factor)
    elif w * h < min_pixels:
        ratio = math.sqrt(min_pixels / (width * height))
        w = math.ceil(width * ratio / factor) * factor
        h = math.ceil(height * ratio / factor) * factor
    return w, h


def area(boxes: NDArray[Any]) -> Boxes:
    """Areas, shape (n,); an inverted box has area 0."""
    return _area(boxes.T)


def iou(a: NDArray[Any], b: NDArray[Any], extra: float = 0.0) -> Boxes:
    """Intersection over union of every pair, shape (len(a), len(b)); 0 where both are empty.

    Args:
        a: xyxy.
        b: xyxy.
        extra: what every side is longer than its ends are apart; 1 where the last pixel belongs to the box.

    """
    left, right = _axes_first(a), _axes_first(b)
    low = np.maximum(left[:2, :, None], right[:2, None])
    high = np.minimum(left[2:, :, None], right[2:, None])
    width, height = np.maximum(high - low + extra, 0.0)
    inter = width * height
    return _ratio(inter, _area(left, extra)[:, None] + _area(right, extra) - inter)


def giou(a: NDArray[Any], b: NDArray[Any]) -> Boxes:
    """Generalised IoU (arXiv 1902.09630) of every pair, in -1..1, shape (len(a), len(b))."""
    return compare(a, b)[1]


def l1(a: NDArray[Any], b: NDArray[Any]) -> Boxes:
    """Sum of the four absolute differences of every pair, shape (len(a), len(b))."""
    across, down = compare(a, b)[2]
    return across + down


def compare(a: NDArray[Any], b: NDArray[Any]) -> tuple[Boxes, Boxes, Boxes]:
    """IoU, GIoU and the L1 distances along x and y (2, …) of every pair, each (len(a), len(b)).

    All at once, x and y in one array, from four arrays that all three share: rewards spend a good part of
    their time here.
    """
    left, right = _axes_first(a), _axes_first(b)
    both = left[:, :, None], right[:, None]
    ends = np.empty((2, 4, len(a), len(b)))
    least, most = np.minimum(*both, out=ends[0]), np.maximum(*both, out=ends[1])
    # of the intersection: from the larger start to the smaller end; of the hull: the other way round
    spans = np.maximum(ends[:, 2:] - ends[::-1, :2], 0.0)
    inter, hull = spans[:, 0] * spans[:, 1]
    union = _area(left)[:, None] + _area(right) - inter
    overlap = _ratio(inter, union)
    gap = _ratio(hull - union, hull)
    sides = most - least
    return overlap, overlap - gap, sides[:2] + sides[2:]


def _axes_first(boxes: NDArray[Any]) -> Boxes:
    """(4, n): x1, y1, x2, y2."""
    return np.ascontiguousarray(boxes.T, dtype=np.float64)


def _area(boxes: NDArray[Any], extra: float = 0.0) -> Boxes:
    """Areas of boxes with their axes first."""
    width, height = np.maximum(boxes[2:] - boxes[:2] + extra, 0.0)
    return np.asarray(width * height, dtype=np.float64)


def _ratio(part: Boxes, whole: Boxes) -> Boxes:
    """Part / whole; 0 where there is no whole."""
    if (whole > 0).all():
        return part / whole
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
