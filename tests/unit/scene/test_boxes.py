"""Overlaps against a naive implementation, frames against their promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import naive_overlap

from sgg.config.model import Frame
from sgg.scene import boxes
from sgg.scene.boxes import FrameSpec, resized_size

BUDGETS = [(3136, 802816), (3136, 1280 * 784), (256 * 784, 256 * 784), (784, 784), (1, 50_000)]
COORDINATE = st.one_of(st.integers(-20, 20), st.floats(-1e4, 1e4, width=32))
ANY_BOXES = st.lists(st.tuples(*[COORDINATE] * 4), max_size=4)
"""Inverted and empty ones too."""


def array(rows):
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@given(ANY_BOXES, ANY_BOXES)
def test_iou_and_giou_equal_the_naive_ones_are_symmetric_and_in_range(a, b):
    iou, giou = boxes.iou(array(a), array(b)), boxes.giou(array(a), array(b))
    assert iou.shape == giou.shape == (len(a), len(b))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            assert (iou[i, j], giou[i, j]) == pytest.approx(naive_overlap(left, right), abs=1e-9)
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    assert ((giou >= -1 - 1e-9) & (giou <= iou + 1e-9)).all()
    np.testing.assert_array_equal(boxes.iou(array(b), array(a)).T, iou)
    np.testing.assert_allclose(boxes.giou(array(b), array(a)).T, giou, atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "iou", "giou"),
    [
        # plain areas: 46 / 100; the +1 convention would say .509
        ((0, 0, 10, 10), (0, 0, 10, 4.6), 0.46, 0.46),
        # apart: union 2 inside a hull of 3
        ((0, 0, 1, 1), (2, 0, 3, 1), 0.0, -1 / 3),
        # the same in [0, 1] of an image
        ((0, 0, 0.1, 0.1), (0.2, 0, 0.3, 0.1), 0.0, -1 / 3),
        ((0, 0, 0.2, 0.1), (0.1, 0, 0.2, 0.1), 0.5, 0.5),
        # inter 1, union 7, hull 9
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 9),
        # a corner in common
        ((0, 0, 1, 1), (1, 1, 2, 2), 0.0, -0.5),
        # inverted: no area, no overlap, even with itself
        ((5, 5, 1, 1), (5, 5, 1, 1), 0.0, 0.0),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0.0, 0.0),
    ],
)
def test_overlap_by_hand(a, b, iou, giou):
    assert boxes.iou(array([a]), array([b]))[0, 0] == pytest.approx(iou)
    assert boxes.giou(array([a]), array([b]))[0, 0] == pytest.approx(giou)


def test_area_and_l1_by_hand():
    """Sides 3 × 4 = 12; an inverted box has none. |0-1| + |0-2| + |4-4| + |4-1| = 6."""
    assert boxes.area(array([(1, 2, 4, 6), (4, 6, 1, 2), (1, 6, 4, 2)])).tolist() == [12, 0, 0]
    a, b = array([(0, 0, 4, 4), (1, 1, 1, 1)]), array([(1, 2, 4, 1)])
    assert boxes.l1(a, b).tolist() == [[6], [4]]
    assert boxes.l1(a, array([])).shape == (2, 0)


SIDES = st.integers(1, 4000)


@given(SIDES, SIDES, st.sampled_from(BUDGETS))
def test_resized_sides_are_positive_multiples_of_the_factor(width, height, budget):
    w, h = resized_size(width, height, *budget, 28)
    assert w > 0
    assert h > 0
    assert w % 28 == h % 28 == 0


@pytest.mark.parametrize(
    ("size", "budget", "expected"),
    [
        # 640 / 28 = 22.9 -> 23, 480 / 28 = 17.1 -> 17, area 306,544 within the budget
        ((640, 480), (3136, 802816), (644, 476)),
        # over 100,352: by sqrt(307200 / 100352) = 1.7496: 365.8 -> 13 · 28, 274.3 -> 9 · 28
        ((640, 480), (3136, 128 * 784), (364, 252)),
        # 10 × 10 rounds to 0 × 0, under 3,136: by 5.6 to 56 × 56
        ((10, 10), (3136, 802816), (56, 56)),
    ],
)
def test_resized_size_by_hand(size, budget, expected):
    assert resized_size(*size, *budget, 28) == expected


@given(
    SIDES,
    SIDES,
    st.sampled_from(Frame),
    st.sampled_from(BUDGETS),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5),
)
def test_a_box_survives_a_frame_up_to_half_a_unit(width, height, frame, budget, fractions):
    """decode(encode(b)) is within half a frame unit of b, in original pixels, on each axis.

    A box thinner than a unit may need a whole one: it is widened so that it keeps an area.
    """
    spec = FrameSpec(frame, *budget, 28)
    sides = np.array([width, height] * 2, dtype=np.float64)
    ordered = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in fractions]
    original = array(ordered) * sides
    written = spec.encode(original, width, height)
    frame_sides = np.array(spec.size(width, height) * 2)
    assert written.dtype == np.int64
    assert ((written >= 0) & (written <= frame_sides)).all()
    step = sides / frame_sides
    off = np.abs(spec.decode(written, width, height) - original)
    extents = original[:, 2:] - original[:, :2]
    thin = np.tile(extents < step[:2], 2)
    assert (off <= np.where(thin, step, step / 2) + 1e-9 * sides).all()
    has_area = extents > 1e-6
    assert (written[:, 2:] > written[:, :2])[has_area].all()


@given(SIDES, SIDES, st.sampled_from(Frame), st.sampled_from(BUDGETS))
def test_whole_image_boxes_survive_every_frame_exactly(width, height, frame, budget):
    spec = FrameSpec(frame, *budget, 28)
    whole = array([(0, 0, width, height)])
    written = spec.encode(whole, width, height)
    assert written[0].tolist() == [0, 0, *spec.size(width, height)]
    np.testing.assert_allclose(spec.decode(written, width, height), whole)


def test_encode_rounds_half_up_and_clips():
    """2000 px in 1000 units: 1 px = .5 -> 1, 5 px = 2.5 -> 3 (banker's rounding would say 2)."""
    spec = FrameSpec(Frame.norm1000)
    rows = [(1, 5, 3, 7), (-9, -1, 2400, 2001)]
    assert spec.encode(array(rows), 2000, 2000).tolist() == [[1, 3, 2, 4], [0, 0, 1000, 1000]]


def test_decode_does_not_clip():
    """A model's box past the edge stays past it: 1200 / 1000 · 50 px = 60 px."""
    spec = FrameSpec(Frame.norm1000)
    assert spec.decode(array([(0, 500, 1200, 1000)]), 50, 80).tolist() == [[0, 40, 60, 80]]


def test_frames_of_a_640_by_480_image():
    sizes = {frame: FrameSpec(frame, factor=28).size(640, 480) for frame in Frame}
    assert sizes == {
        Frame.norm1000: (1000, 1000),
        Frame.original_px: (640, 480),
        Frame.resized_px: (644, 476),
    }
    assert FrameSpec(Frame.resized_px, factor=28).size(10, 10) == (56, 56)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-1, 10), (11, 10)])
def test_an_impossible_budget_is_refused(low, high):
    with pytest.raises(ValueError, match=f"min_pixels={low} must be positive and at most"):
        FrameSpec(Frame.resized_px, low, high, 28)


def test_a_resized_frame_needs_its_factor():
    with pytest.raises(ValueError, match="frame=resized_px needs the factor"):
        FrameSpec(Frame.resized_px)


def test_an_area_at_a_limit_of_the_budget_is_within_it():
    """640 × 480 rounds to 644 × 476, 306,544 pixels: the most, or the least, that is allowed."""
    area = 644 * 476
    assert resized_size(640, 480, 3136, area, 28) == (644, 476)
    assert resized_size(640, 480, area, 10**7, 28) == (644, 476)
    assert resized_size(640, 480, 3136, area - 1, 28) != (644, 476)
    assert resized_size(640, 480, area + 1, 10**7, 28) != (644, 476)


def test_the_default_budget_is_the_processors():
    spec = FrameSpec(Frame.original_px)
    assert (spec.min_pixels, spec.max_pixels) == (3136, 1_003_520)


def test_a_box_is_widened_only_along_the_side_that_rounding_would_flatten():
    """Y from 10.1 to 10.2 becomes 10 to 11; x keeps its rounding, whatever numbers y has."""
    spec = FrameSpec(Frame.norm1000)
    rows = [(20.4, 10.1, 50.4, 10.2), (10.4, 5.1, 50.4, 10.2), (10.1, 20.4, 10.2, 50.4)]
    expected = [[20, 10, 50, 11], [10, 5, 50, 10], [10, 20, 11, 50]]
    assert spec.encode(array(rows), 1000, 1000).tolist() == expected


def test_small_boxes_overlap_beside_empty_ones():
    """In [0, 1], where all areas are below 1: half in common, and nothing with a point."""
    a = array([(0, 0, 0.2, 0.1), (0.3, 0.3, 0.3, 0.3)])
    b = array([(0, 0, 0.1, 0.1), (0.3, 0.3, 0.3, 0.3)])
    np.testing.assert_allclose(boxes.iou(a, b), [[0.5, 0], [0, 0]])
