"""The quick way of reading: whatever it takes, the careful way reads alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANY_TEXT, PX, completion

from sgg.config.model import Frame
from sgg.scene.boxes import FrameSpec
from sgg.scene.vocab import Vocabulary
from sgg.text import codec
from sgg.text import strict_parser as sound
from sgg.text.codec import GraphSpec, parse
from sgg.text.strict_parser import parse_strict
from sgg.text.tolerant_parser import MAX_ITEMS, View

MAN, DOG = ("man.1", [0, 0.5, 10, 1e1]), ("Dog.2", [20, 20, 40, 40])
GOOD = completion([MAN, DOG], [("man.1", "on", "Dog.2")])
PIXELS = View(None, (80.0, 60.0), (1.0, 1.0))
SPECS = [
    PX,
    GraphSpec(FrameSpec(Frame.norm1000), vocabulary=Vocabulary("v", ("man", "dog"), ("on",))),
]
NUMBERS = ["1.", "01", "-0", "1e400", "9" * 20, "9" * 5000, "NaN", "Infinity", "true", "null"]
ESCAPES = ["\\q", "\\ud800", "\ud800", "\x0b", "\ufeff", "/**/", "[" * 2000, "</answer>"]
GRAPHS = [GOOD, GOOD[:40], '{"objects":[', '{"a":1}', "<answer>", "<think>"]
FIELDS = [
    '"id":"a.1",',
    '"label":"cat",',
    '"bbox":[1,2,3,4],',
    '"objects":[],',
    '"x":0,',
    '"x":"\\q",',
]
BITS = st.sampled_from([*'{}[]",:.\\0-e \n', *NUMBERS, *ESCAPES, *FIELDS, *GRAPHS])


def both_ways(text, spec=PX):
    """What is parsed, with the quick way and without."""
    quick = parse(text, spec, 80, 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "parse_strict", lambda *_: None)
        return quick, parse(text, spec, 80, 60)


@settings(max_examples=400)
@given(
    st.sampled_from(SPECS),
    st.lists(st.tuples(st.integers(0, len(GOOD)), BITS | ANY_TEXT, st.integers(0, 3)), max_size=2),
)
def test_edited_completions_are_read_alike_both_ways(spec, edits):
    text = GOOD
    for place, piece, drop in edits:
        text = text[:place] + piece + text[place + drop :]
    quick, careful = both_ways(text, spec)
    assert quick == careful


VALUES = st.sampled_from([0, 5, -3, 2.5, True, None, "7", "x", 1e7, 10_000_001, [1], float("nan")])
IDS = st.sampled_from(["a.1", "A.1", " a.1", "b.2", "b", ".3", "", "é.4", "x" * 129, 7, None])


@settings(max_examples=400)
@given(
    st.lists(st.tuples(IDS, st.lists(VALUES, min_size=3, max_size=5)), max_size=3),
    st.lists(st.tuples(IDS, IDS, IDS), max_size=2),
)
def test_odd_items_are_read_alike_both_ways(objects, relations):
    text = completion([("b.2", [1, 2, 3, 4]), *objects], relations)
    quick, careful = both_ways(text)
    assert quick == careful


@pytest.mark.parametrize("more", [0, 1])
def test_up_to_4096_items_take_the_quick_way(more):
    objects = [(f"man.{i}", [0, 0, 5, 5]) for i in range(4096 + more)]
    relations = [("man.1", "on", "Dog.2")] * (4096 + more)
    for text in (completion(objects), completion([MAN, DOG], relations)):
        assert (parse_strict(text, PIXELS) is None) is bool(more)


def test_boxes_within_the_frame_need_no_second_look(monkeypatch):
    """The frame is 80 × 60; a box that ends within the first unit may be one of fractions."""
    looked = []
    monkeypatch.setattr(sound, "_sound_box", lambda box, frame: looked.append(box) or True)
    inside = [[0, 0, 80, 60], [0.5, 0.5, 1.5, 1.5], [0, 0, 0.5, 1.5]]
    others = [[-0.5, 0, 5, 5], [0, -0.5, 5, 5], [0, 0, 80.5, 5], [0, 0, 5, 60.5], [0, 0, 5, 1]]
    for box in inside + others:
        assert (
            parse_strict(completion([("man.1", box)], [("man.1", "on", "man.1")]), PIXELS)
            is not None
        )
    assert looked == [tuple(box) for box in others]
    assert parse_strict(
        completion([("a.1", others[0]), ("b.2", others[1])], [("a.1", "on", "b.2")]), PIXELS
    )
    assert looked[len(others) :] == [tuple(box) for box in others[:2]]  # once for all


@pytest.mark.parametrize("place", range(4))
def test_boxes_that_reach_out_of_the_frame_take_the_quick_way_up_to_ten_million(place):
    for size, taken in ((1e7, True), (1e7 + 1, False)):
        box = [0.0, 0.0, 5.0, 5.0]
        box[place] = -size if place < 2 else size
        text = completion([("man.1", box)], [("man.1", "on", "man.1")])
        assert (parse_strict(text, PIXELS) is not None) is taken


def test_what_stands_close_to_the_braces_is_passed_over():
    assert parse_strict(f"So:{GOOD}.", PIXELS) == parse_strict(GOOD, PIXELS) is not None


@pytest.mark.parametrize("spec", SPECS)
def test_a_sound_completion_takes_the_quick_way(spec):
    """Prose and fences around it too."""
    graph = parse_strict(f"So:\n```json\n{GOOD}\n```", View(spec.vocabulary, (50, 50), (2.0, 0.5)))
    assert graph is not None
    assert [node.box for node in graph.nodes] == [(0, 0.25, 20, 5), (40, 10, 80, 20)]
    assert [graph.triplet(edge) for edge in graph.edges] == [("man", "on", "Dog")]
    twice = parse_strict(GOOD, View(spec.vocabulary, (50, 50), (2.0, 2.0)))
    assert [node.box for node in twice.nodes] == [(0, 1, 20, 20), (40, 40, 80, 80)]
    quick, careful = both_ways(GOOD, spec)
    assert quick == careful
    assert not quick.problems


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace('"objects"', '"\\u006fbjects"'),
        GOOD.replace("0.5", "true"),
        GOOD.replace("0.5", '"0.5"'),
        GOOD.replace("Dog.2", "man.1"),
        GOOD.replace("man.1", ".1"),
        GOOD.replace("0.5", "50"),
        GOOD.replace("0.5", "-1e8"),
        completion([MAN, DOG], [("man.1", "on", "dog.2")]),
        completion([MAN], [("man.1", "on", "man.1")] * (MAX_ITEMS + 1)),
        GOOD.replace("0.5", "61"),
        GOOD.replace("[0, 0.5, 10, 10.0]", "[80, 0, 90, 9]"),
        GOOD.replace("[0, 0.5, 10, 10.0]", "[0, 60, 9, 70]"),
        GOOD.replace("[0, 0.5, 10, 10.0]", "[-9, 0, 0, 9]"),
        GOOD.replace("[0, 0.5, 10, 10.0]", "[0, -9, 9, 0]"),
        GOOD.replace("[0, 0.5, 10, 10.0]", "[0, 0.5, 1, 1]"),
        GOOD.replace("man.1", "man"),
        GOOD.replace("man.1", "man.1.1"),
        GOOD.replace('"bbox"', '"label": "man", "bbox"'),
        GOOD.replace('"id"', '"id": "cat.1", "id"', 1),
        GOOD.replace('"on"', '"by", "predicate": "on"'),
        GOOD.replace('"objects"', '"objects": [], "objects"'),
        GOOD.replace('"objects"', '"\\u006fbjects": [], "objects"'),
        GOOD.replace('"relationships"', '"relationships": [], "relationships"'),
        completion(),
        GOOD[:-1],
        f"{GOOD} }}",
        json.dumps(json.loads(GOOD)["objects"]),
    ],
)
def test_anything_else_is_left_to_the_careful_way(text):
    assert parse_strict(text, PIXELS) is None
    quick, careful = both_ways(text)
    assert quick == careful


def test_names_outside_the_vocabulary_are_left_to_the_careful_way():
    for vocabulary in (
        Vocabulary("v", ("man",), ("on",)),
        Vocabulary("v", ("man", "dog"), ("by",)),
    ):
        assert parse_strict(GOOD, PIXELS._replace(vocabulary=vocabulary)) is None
