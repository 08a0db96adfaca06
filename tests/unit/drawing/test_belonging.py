"""Whose arrow a label reads as."""

from __future__ import annotations

import numpy as np
import pytest

from sgg.drawing.belonging import dense, unclear

OWN, OTHER = dense([(0, 0), (100, 0)], 1), dense([(0, 40), (100, 40)], 1)


def test_a_line_has_points_at_most_a_step_apart_and_both_ends():
    points = dense([(0.0, 0.0), (10.0, 0.0), (10.0, 5.0)], 2)
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [10, 5]
    assert np.hypot(*np.diff(points, axis=0).T).max() <= 2


def test_a_line_without_length_has_its_point():
    assert {*map(tuple, dense([(3.0, 4.0), (3.0, 4.0)], 2).tolist())} == {(3.0, 4.0)}


@pytest.mark.parametrize(
    ("top", "doubt"),
    [
        (-5, 0),  # on its own line, 35 from the other
        (6, 0),  # 6 from its own, 24 from the other
        (12.5, 0.5),  # 12.5 and 17.5
        (15, 1),  # in the middle
        (35, 1),  # on the other line
        (-25, 0),  # beyond its own
    ],
)
def test_a_place_is_as_unclear_as_the_other_arrow_is_near(top, doubt):
    found = unclear(np.array([[40.0, top]]), (20, 10), OWN, OTHER, 10)
    assert found.tolist() == [pytest.approx(doubt)]


def test_without_another_arrow_nearby_all_places_are_clear():
    corners = np.array([[40.0, 30.0], [0.0, 0.0]])
    assert unclear(corners, (20, 10), OWN, np.empty((0, 2)), 10).tolist() == [0, 0]
    assert unclear(corners, (20, 10), OWN, OTHER + 500, 10).tolist() == [0, 0]
