"""Cleaning: each kind of finding, each policy, and the accounts that must balance."""

from __future__ import annotations

import math

import pytest
from data_files import BOXES, raw, triplets
from hypothesis import given
from hypothesis import strategies as st

from sgg.config.data import Duplicates
from sgg.data.clean import KINDS, SHOWN_PER_KIND, Policy, Report, clean
from sgg.data.example import RawExample
from sgg.scene.graph import MAX_OBJECTS, MAX_RELATIONS
from sgg.scene.vocab import VOCABULARIES

VG150 = VOCABULARIES["vg150"]
MAN, DOG = (("man.1", "man", BOXES["man.1"]), ("dog.2", "dog", BOXES["dog.2"]))


def cleaned(example, **policy):
    report = Report()
    return clean(example, Policy(**policy), report), report


def test_clean_row_is_kept_as_it_is():
    example = raw([MAN, DOG], [("man.1", "near", "dog.2")])
    graph, report = cleaned(example, vocabulary=VG150)
    assert [n.box for n in graph.nodes] == [(10, 10, 50, 60), (40, 30, 90, 70)]
    assert triplets(graph) == [("man", "near", "dog")]
    assert report.read == report.kept == {"images": 1, "objects": 2, "relations": 1}
    assert not report.issues
    assert not report.shown


@pytest.mark.parametrize(
    ("size", "dropped"),
    [
        ((200, 1), False),  # exactly 200 to 1
        ((201, 1), True),
        ((1, 201), True),
        ((0, 50), True),
        ((50, -3), True),
        ((8_000, 8_000), False),  # exactly 64 megapixels
        ((20_000, 20_001), True),
    ],
)
def test_size_of_the_image(size, dropped):
    graph, report = cleaned(raw(size=size))
    assert (graph is None) == dropped
    assert report.issues == ({"bad_size": 1} if dropped else {})
    assert report.read["images"] == 1
    assert report.kept["images"] == (0 if dropped else 1)


@pytest.mark.parametrize(
    ("box", "kind", "clipped"),
    [
        ((0, 0, 100, 80), None, (0, 0, 100, 80)),
        ((0, 0, 100.5, 80), "box_past_edge", (0, 0, 100, 80)),
        ((-3, 5, 20, 90), "box_past_edge", (0, 5, 20, 80)),
        ((0, -1, 9, 9), "box_past_edge", (0, 0, 9, 9)),
        # a hair outside is rounding of the source, on every side alike
        ((-1e-9, -1e-9, 100 + 1e-9, 80 + 1e-9), None, (0, 0, 100, 80)),
        ((50, 10, 50, 40), "degenerate_box", None),
        ((50, 40, 60, 40), "degenerate_box", None),
        ((60, 10, 50, 40), "swapped_box", None),
        ((100, 10, 120, 40), "outside_box", None),
        ((10, -20, 30, 0), "outside_box", None),
        ((0, 0, 0, 0), "degenerate_box", None),  # as some write "no box"
        ((0.1, 0.2, 0.9, 1.0), "relative_box", None),
        ((0.6, 0.7, 0.3, 0.2), "relative_box", None),  # with width and height
        ((-0.02, 0.2, 0.9, 1.02), "relative_box", None),
        ((10, 10, 10.9, 60), "tiny_box", (10, 10, 10.9, 60)),
        ((10, 10, 11, 60), None, (10, 10, 11, 60)),
        ((1, 2, 3), "bad_box", None),
        ((), "bad_box", None),
        ((1, 2, 3, 4, 5), "bad_box", None),
        ((1, 2, math.nan, 4), "bad_box", None),
        ((1, 2, math.inf, 4), "bad_box", None),
    ],
)
def test_boxes(box, kind, clipped):
    graph, report = cleaned(raw([("man.1", "man", box)]))
    assert report.issues == ({kind: 1} if kind else {})
    assert [n.box for n in graph.nodes] == ([] if clipped is None else [clipped])


def test_boxes_past_the_edge_are_dropped_where_clipping_is_off():
    example = raw([("man.1", "man", (-3, 5, 20, 60)), DOG], [("man.1", "near", "dog.2")])
    graph, report = cleaned(example, clip_boxes=False)
    assert [n.name for n in graph.nodes] == ["dog"]
    assert report.issues == {"box_past_edge": 1, "dangling_relation": 1}


@pytest.mark.parametrize("first_box", [BOXES["man.1"], (5, 5, 5, 5)])
def test_object_id_counts_once_even_if_its_first_box_is_bad(first_box):
    again = ("man.1", "man", (0, 0, 9, 9))
    graph, report = cleaned(raw([("man.1", "man", first_box), again]))
    assert report.issues["duplicate_id"] == 1
    assert (0, 0, 9, 9) not in [n.box for n in graph.nodes]


def test_relations_follow_their_objects_past_dropped_ones():
    objects = [("x", "man", (5, 5, 5, 5)), ("y", "man", (0, 0, 9, 9)), ("z", "dog", (1, 1, 8, 8))]
    relations = [("y", "near", "z"), ("x", "near", "z"), ("z", "on", "w"), ("z", "on", "z")]
    graph, report = cleaned(raw(objects, relations))
    assert [(e.subject, e.predicate, e.object) for e in graph.edges] == [
        (0, "near", 1),
        (1, "on", 1),  # a relation of an object to itself is the annotator's affair
    ]
    assert report.issues == {"degenerate_box": 1, "dangling_relation": 2, "self_relation": 1}


@pytest.mark.parametrize(("duplicates", "left"), [(Duplicates.drop, 3), (Duplicates.keep, 5)])
def test_duplicate_relations(duplicates, left):
    relations = [
        ("man.1", "on", "dog.2"),
        ("man.1", "On ", "dog.2"),  # the same once names are compared
        ("man.1", "near", "dog.2"),
        ("dog.2", "on", "man.1"),
        ("man.1", "on", "dog.2"),
    ]
    graph, report = cleaned(raw([MAN, DOG], relations), duplicates=duplicates)
    assert len(graph.edges) == left
    assert report.issues == {"duplicate_relation": 2}


@pytest.mark.parametrize("drop", [False, True])
def test_names_outside_the_vocabulary(drop):
    alien = ("alien.3", "alien", (0, 0, 9, 9))
    relations = [
        ("man.1", "near", "dog.2"),
        ("man.1", "zaps", "dog.2"),
        ("man.1", "near", "alien.3"),
    ]
    example = raw([MAN, DOG, alien], relations)
    graph, report = cleaned(example, vocabulary=VG150, drop_unknown=drop)
    expected = {"unknown_class": 1, "unknown_predicate": 1}
    assert report.issues == (expected | {"dangling_relation": 1} if drop else expected)
    assert len(graph.nodes) == (2 if drop else 3)
    assert len(graph.edges) == (1 if drop else 3)


def test_rows_may_name_their_own_vocabulary():
    sky = ("s", "sky-other-merged", (0, 0, 100, 40))  # a class of PSG, not of VG150
    _, report = cleaned(raw([sky]), vocabulary=VG150)
    assert report.issues == {"unknown_class": 1}
    _, report = cleaned(raw([sky], columns={"vocabulary": "psg"}), vocabulary=VG150)
    assert not report.issues


@pytest.mark.parametrize(("minimum", "kept"), [(0, True), (1, True), (2, False)])
def test_few_relations_are_counted_after_cleaning(minimum, kept):
    relations = [("man.1", "near", "dog.2")] * 2
    graph, report = cleaned(raw([MAN, DOG], relations), min_relations=minimum)
    assert (graph is not None) == kept
    assert report.issues["few_relations"] == (not kept)
    assert report.kept["relations"] == (1 if kept else 0)


def test_unreadable_rows_say_why():
    example = RawExample.unreadable("file:7", KeyError("bbox"))
    graph, report = cleaned(example)
    assert graph is None
    assert report.issues == {"unreadable_row": 1}
    assert report.shown == {"unreadable_row": ["file:7 (KeyError: 'bbox')"]}


def test_reports_add_up_and_show_the_first_images():
    total = Report()
    for part in range(3):
        report = Report()
        for i in range(3):
            clean(raw(size=(0, 0), image_id=f"{part}-{i}"), Policy(), report)
        report.zero_shot.add(("man", "on", str(part % 2)))
        total.add(report)
    assert total.issues == {"bad_size": 9}
    assert total.read["images"] == 9
    assert total.shown["bad_size"] == ["0-0", "0-1", "0-2", "1-0", "1-1"]
    assert len(total.shown["bad_size"]) == SHOWN_PER_KIND
    assert len(total.zero_shot) == 2


def test_an_unknown_kind_is_a_bug():
    with pytest.raises(AssertionError, match="typo"):
        Report().note("typo", "a")


NUMBERS = st.floats(-20, 120) | st.sampled_from([0, 80, 100, math.nan, math.inf])
OBJECTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["man", "dog", "alien"]),
        st.lists(NUMBERS, min_size=3, max_size=5).map(tuple),
    ),
    max_size=5,
)
RELATIONS = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.sampled_from(["on", "near", "zaps"]), st.sampled_from("abcde")
    ),
    max_size=8,
)


@given(OBJECTS, RELATIONS, st.booleans(), st.booleans(), st.sampled_from(Duplicates))
def test_accounts_balance_and_graphs_are_sound(objects, relations, clip, drop, duplicates):
    example = raw(objects, relations)
    graph, report = cleaned(
        example, vocabulary=VG150, clip_boxes=clip, drop_unknown=drop, duplicates=duplicates
    )
    issues = report.issues
    assert set(issues) <= set(KINDS)
    no_boxes = ("bad_box", "degenerate_box", "relative_box", "swapped_box", "outside_box")
    lost = sum(issues[kind] for kind in no_boxes) + issues["duplicate_id"]
    lost += issues["unknown_class"] * drop + issues["box_past_edge"] * (not clip)
    assert len(graph.nodes) == len(objects) - lost == report.kept["objects"]
    for node in graph.nodes:
        x1, y1, x2, y2 = node.box
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 80
    edges = [(e.subject, e.predicate, e.object) for e in graph.edges]
    assert report.kept["relations"] == len(edges)
    if duplicates is Duplicates.drop:
        assert len(set(edges)) == len(edges)
    elif not drop:
        assert len(edges) == len(relations) - issues["dangling_relation"]


@pytest.mark.parametrize(
    ("objects", "relations", "dropped"),
    [
        (MAX_OBJECTS, MAX_RELATIONS, False),
        (MAX_OBJECTS + 1, 0, True),
        (2, MAX_RELATIONS + 1, True),
    ],
)
def test_an_image_with_too_many_items_is_dropped_and_counted(objects, relations, dropped):
    items = [(f"man.{n}", "man", BOXES["man.1"]) for n in range(objects)]
    example = raw(items, [("man.0", "near", "man.1")] * relations)
    graph, report = cleaned(example, duplicates=Duplicates.keep)
    assert (graph is None) == dropped
    assert report.issues["too_many"] == dropped
    assert report.read["objects"] == objects
    assert report.kept["images"] == (not dropped)
