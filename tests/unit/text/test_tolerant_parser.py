"""Limits of items: names, coordinates, lists, places in the frame; each at the limit and one past it."""

from __future__ import annotations

import json

import pytest
from strategies import PX, completion

from sgg.config.model import Frame
from sgg.scene.boxes import FrameSpec
from sgg.text import tolerant_parser as module
from sgg.text.codec import ErrorKind, GraphSpec, parse
from sgg.text.tolerant_parser import (
    MAX_ITEMS,
    View,
    frame_faults,
    read_id,
    read_objects,
    read_relations,
)

VIEW = View(None, (100.0, 80.0), (1.0, 1.0))
K = ErrorKind


def objects(*items, view=VIEW):
    problems = []
    nodes, index = read_objects(list(items), view, problems)
    return nodes, index, [(p.kind, p.item) for p in problems]


@pytest.mark.parametrize(("length", "usable"), [(128, True), (129, False)])
def test_a_name_has_at_most_128_characters(length, usable):
    name = "x" * (length - 2) + ".1"
    nodes, _, problems = objects({"id": name, "bbox": [1, 2, 3, 4]})
    assert (len(nodes) == 1, problems) == (usable, [] if usable else [(K.bad_object, "objects[0]")])


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(("size", "usable"), [(1e7, True), (1e7 + 1, False)])
def test_a_coordinate_is_at_most_ten_million_in_size(place, size, usable):
    """Low for a start, high for an end; the same in the quick way and in the careful one."""
    box = [-1.0, -1.0, 50.0, 50.0]
    box[place] = -size if place < 2 else size
    nodes, _, problems = objects({"id": "man.1", "bbox": box})
    assert (bool(nodes), K.bad_box in dict(problems)) == (usable, not usable)
    if usable:
        assert nodes[0].box == tuple(box)
    text = completion([("man.1", box)])
    assert bool(parse(text, PX, 100, 80).graph.nodes) is usable


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_is_read_up_to_4096_items(more):
    many = [{"id": f"man.{i}", "bbox": [0, 0, 5, 5]} for i in range(MAX_ITEMS + more)]
    nodes, _, problems = objects(*many)
    assert MAX_ITEMS == len(nodes) == 4096
    assert problems == [(K.bad_object, "objects[4096:]")] * more
    found = []
    relation = {"subject": "a.1", "predicate": "on", "object": "a.1"}
    edges, _ = read_relations([relation] * (4096 + more), {"a.1": 0}, VIEW, found)
    assert len(edges) == 4096
    assert [(p.kind, p.item) for p in found] == [(K.bad_relation, "relationships[4096:]")] * more


def test_no_list_is_no_item():
    problems = []
    assert read_objects(None, VIEW, problems) == ([], {})
    assert read_relations(None, {}, VIEW, problems) == ([], [])
    assert problems == []


@pytest.mark.parametrize(
    ("box", "faults"),
    [
        # the frame is 100 × 80
        ((0.1, 0.2, 1, 1), [K.unit_box]),
        ((0.1, 0.2, 1, 1.1), []),
        ((0.1, 0.2, 1.1, 1), []),
        ((0, 0, 1, 1), []),
        ((0.5, 0, 1, 1), [K.unit_box]),
        ((-5, -5, 0, 10), [K.outside_box]),
        ((-5, -5, 0.5, 10), []),
        ((-0.9, 5, -0.1, 9), [K.outside_box]),
        ((5, -0.9, 9, -0.1), [K.outside_box]),
        ((-5, -5, 10, 0), [K.outside_box]),
        ((100, 10, 120, 20), [K.outside_box]),
        ((99.5, 10, 120, 20), []),
        ((10, 80, 20, 90), [K.outside_box]),
        ((10, 79.5, 20, 90), []),
        ((-2.5, -2.5, -1, -1), [K.unit_box, K.outside_box]),
    ],
)
def test_a_box_as_a_place_in_its_frame(box, faults):
    assert frame_faults(box, (100.0, 80.0)) == faults
    _, _, problems = objects({"id": "man.1", "bbox": list(box)})
    assert [kind for kind, _ in problems] == faults
    text = completion([("man.1", list(box))])
    assert [p.kind for p in parse(text, PX, 100, 80).problems] == faults


@pytest.mark.parametrize("frame", [(1.0, 80.0), (100.0, 1.0)])
def test_an_image_one_unit_wide_has_no_unit_boxes(frame):
    assert frame_faults((0.1, 0.1, 0.9, 0.9), frame) == []
    wide = (1.5, 1.5)
    assert frame_faults((0.1, 0.1, 0.9, 0.9), wide) == [K.unit_box]


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ([5, 5, 5, 9], K.degenerate_box),
        ([5, 5, 4, 9], K.degenerate_box),
        ([5, 5, 9, 5], K.degenerate_box),
        ([5, 5, 9, 4], K.degenerate_box),
        ([1e7, 5, 1e7, 9], K.degenerate_box),
        ([5, 1e7, 9, 1e7], K.degenerate_box),
        ([-1e7, 5, -1e7, 9], K.degenerate_box),
        ([5, -1e7, 9, -1e7], K.degenerate_box),
        ([5, 5, 5.5, 5.5], None),
        (["5", "5", "9", "9"], None),
        (["5", "5", "9", "1_0"], K.bad_box),
        ([5, 5, 9, True], K.bad_box),
        ([5, 5, 9], K.bad_box),
        ([5, 5, 9, 9, 9], K.bad_box),
        ("5559", K.bad_box),
        ([5, 5, 9, float("nan")], K.bad_box),
        ([float("nan"), 5, 9, 9], K.bad_box),
        ([5, 5, float("inf"), 9], K.bad_box),
    ],
)
def test_a_box_is_four_numbers_with_an_area(box, fault):
    nodes, _, problems = objects({"id": "man.1", "bbox": box})
    assert problems == ([(fault, "man.1")] if fault else [])
    assert bool(nodes) is (fault is None)


def test_boxes_are_scaled_to_pixels_across_and_down():
    view = View(None, (1000.0, 1000.0), (0.5, 2.0))
    nodes, _, _ = objects({"id": "man.1", "bbox": [10, 20, 30, 40]}, view=view)
    assert nodes[0].box == (5, 40, 15, 80)
    spec = GraphSpec(FrameSpec(Frame.norm1000))
    for text in (
        completion([("man.1", [10, 20, 30, 40])]),
        completion([("man.1", ["10", 20, 30, 40])]),
    ):
        assert parse(text, spec, 500, 2000).graph.nodes[0].box == (5, 40, 15, 80)
        assert parse(text, spec, 1000, 2000).graph.nodes[0].box == (10, 40, 30, 80)
        assert parse(text, spec, 500, 1000).graph.nodes[0].box == (5, 20, 15, 40)


@pytest.mark.parametrize(
    ("text", "name", "sound"),
    [
        ("man.1", "man", True),
        (" Man.12 ", "Man", True),
        ("man", "man", False),
        ("man.1.2", "man.1", False),
        ("man 1", "man", None),
        (".1", "", False),
    ],
)
def test_an_id_is_a_class_name_a_dot_and_one_number(text, name, sound):
    trimmed, key, found, is_sound = read_id(text)
    assert (trimmed, key) == (text.strip(), text.strip().lower())
    if sound is not None:
        assert (found, is_sound) == (name, sound)


@pytest.mark.parametrize("value", ["", "  ", 5, None, ["man.1"], "x" * 129])
def test_no_text_is_no_id(value):
    with pytest.raises((TypeError, ValueError)):
        read_id(value)


def test_the_first_of_equal_ids_stays_in_any_case_of_letters():
    nodes, index, problems = objects(
        {"id": "man.1", "bbox": [0, 0, 5, 5]}, {"id": "Man.1", "bbox": [9, 9, 12, 12]}
    )
    assert ([n.box for n in nodes], index) == ([(0, 0, 5, 5)], {"man.1": 0})
    assert problems == [(K.duplicate_id, "Man.1")]
    text = completion([("man.1", [0, 0, 5, 5]), ("Man.1", [9, 9, 12, 12])])
    assert [p.kind for p in parse(text, PX, 100, 80).problems] == [K.duplicate_id]


def test_an_object_without_other_keys_is_not_searched_for_them(monkeypatch):
    monkeypatch.setattr(module, "_other_members", lambda item, name: pytest.fail("searched"))
    assert objects({"id": "man.1", "bbox": [0, 0, 5, 5]})[2] == []


def test_a_key_that_is_passed_over_may_not_contradict_the_id():
    for key in ("label", "name", "category", "class"):
        for value, expected in (("Man", []), ("dog", [(K.other_label, "man.1")]), (7, [])):
            _, _, problems = objects({"id": "man.1", "bbox": [0, 0, 5, 5], key: value})
            assert problems == expected
    text = json.dumps(
        {
            "objects": [{"id": "man.1", "bbox": [0, 0, 5, 5], "label": "dog"}],
            "relationships": [],
        }
    )
    assert [p.kind for p in parse(text, PX, 100, 80).problems] == [K.other_label]
