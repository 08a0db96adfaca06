"""Whether four annotated numbers are a box of their image.

Input: the numbers as they are written, and what they mean. Output: the box in pixels within the image,
or none, and the kinds (`clean.KINDS`) of what is wrong with it.
"""

from __future__ import annotations

from math import isfinite

from sgg.config.data import BoxFormat
from sgg.data.box_format import Numbers, to_corners
from sgg.data.units import in_first_pixel
from sgg.scene.graph import Box

_EDGE_SLACK = 1e-6
"""Sources that rescale boxes (VG-SGG's h5) land a hair outside; that is rounding, not a finding."""


def judge(
    box: Numbers, box_format: BoxFormat, width: int, height: int
) -> tuple[Box | None, list[str]]:
    """The box, clipped to the image, or None; and what is wrong, one kind where there is no box."""
    if len(box) != 4 or not all(isfinite(v) for v in box):
        return None, ["bad_box"]
    if box_format.is_normalised and max(box) > _LARGEST_SHARE:
        return None, ["pixel_box"]
    x1, y1, x2, y2 = to_corners(box, box_format, width, height)
    if x2 == x1 or y2 == y1:
        return None, ["degenerate_box"]
    if not box_format.is_normalised and in_first_pixel(box, width, height):
        return None, ["relative_box"]
    if x2 < x1 or y2 < y1:
        return None, ["swapped_box"]
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        return None, ["outside_box"]
    issues = []
    if max(-x1, -y1, x2 - width, y2 - height) > _EDGE_SLACK:
        issues.append("box_past_edge")
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if min(x2 - x1, y2 - y1) < 1 - _EDGE_SLACK:
        issues.append("tiny_box")
    return (x1, y1, x2, y2), issues


_LARGEST_SHARE = 2.0
"""A box of shares may reach over the edge, but not by the whole image."""
