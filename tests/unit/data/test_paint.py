"""Painted gold: a function of graph and size that shows each box and tells classes apart."""

from __future__ import annotations

import numpy as np
import pytest

from sgg.data.paint import paint
from sgg.scene.graph import Node, SceneGraph
from sgg.scene.vocab import PSG_OBJECTS, VG150_OBJECTS

GREY = (200, 200, 200)


def one(name="man", box=(20, 10, 60, 50), size=(100, 80)):
    return paint(SceneGraph((Node(name, box),)), *size)


def test_only_the_box_is_painted():
    image = one()
    assert image.size == (100, 80)
    assert image.mode == "RGB"
    rows, columns = np.nonzero((np.asarray(image) != GREY).any(axis=-1))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (20, 10, 59, 49)


def test_painting_is_deterministic_and_compares_names_as_everything_does():
    assert one().tobytes() == one().tobytes()
    assert one("sky-other-merged").tobytes() == one("Sky other_merged").tobytes()
    assert one("man").tobytes() != one("woman").tobytes()


@pytest.mark.parametrize("names", [VG150_OBJECTS, PSG_OBJECTS], ids=["vg150", "psg"])
def test_classes_look_different(names):
    tiles = {one(name, (0, 0, 48, 48), (48, 48)).tobytes() for name in names}
    assert len(tiles) == len(names)


def test_a_pattern_does_not_depend_on_the_place():
    a = np.asarray(one(box=(20, 10, 60, 50)))[10:50, 20:60]
    b = np.asarray(one(box=(50, 30, 90, 70)))[30:70, 50:90]
    assert (a == b).all()


def test_small_boxes_lie_over_large_ones_whatever_their_order():
    small, large = Node("man", (40, 30, 60, 50)), Node("dog", (0, 0, 100, 80))
    images = [paint(SceneGraph(nodes), 100, 80) for nodes in ((small, large), (large, small))]
    assert images[0].tobytes() == images[1].tobytes()
    seen = np.asarray(images[0])
    assert (seen[30:50, 40:60] == np.asarray(one("man", (0, 0, 20, 20), (20, 20)))).all()


@pytest.mark.parametrize("box", [(0, 0, 0.4, 0.4), (99.6, 79.6, 100, 80), (5, 5, 5.2, 80)])
def test_hairline_boxes_are_no_error(box):
    assert one(box=box).size == (100, 80)
