"""Where boxes, arrows and labels of a picture stand."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANY_TEXT, scene

from sgg.drawing.belonging import dense
from sgg.drawing.layout import MAX_DRAWN, Marks, layout
from sgg.terminal import without_controls

SIZE = (640, 480)
NUMBERS = st.floats(-2000, 2000) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 640.0])


@st.composite
def wild_graphs(draw, names=ANY_TEXT, numbers=NUMBERS, max_nodes=6, max_edges=8):
    nodes = draw(
        st.lists(st.tuples(names, st.tuples(*[numbers] * 4)), min_size=1, max_size=max_nodes)
    )
    ends = st.integers(0, len(nodes) - 1)
    return scene(nodes, draw(st.lists(st.tuples(ends, names, ends), max_size=max_edges)))


def labels(drawn):
    found = [*drawn.boxes, *drawn.arrows]
    return [item.label for item in found] + ([drawn.note] if drawn.note else [])


def numbers(value):
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        return [n for part in value for n in numbers(part)]
    return [value] if isinstance(value, int | float) else []


def overlap(a, b):
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across > 0.1 and down > 0.1  # numbers are rounded to hundredths


def distance(rect, points):
    """Of a rectangle from the nearest of some points."""
    x1, y1, x2, y2 = rect
    return min(math.hypot(max(x1 - x, x - x2, 0), max(y1 - y, y - y2, 0)) for x, y in points)


@settings(max_examples=60, deadline=None)
@given(wild_graphs(), st.sampled_from([SIZE, (20, 4000), (5000, 30), (3, 3), (4000, 3000)]))
def test_all_of_any_graph_is_in_the_image_and_finite(graph, size):
    drawn = layout(graph, size)
    content = dataclasses.asdict(drawn)
    assert all(map(math.isfinite, numbers(content)))
    assert json.loads(json.dumps(content, allow_nan=False))["width"] == size[0]
    for label in labels(drawn):
        x1, y1, x2, y2 = label.rect
        assert (-0.1 <= x1 < x2 <= size[0] + 0.1, -0.1 <= y1 < y2 <= size[1] + 0.1) == (True, True)
        assert without_controls(label.text) == label.text != ""
        assert label.text.encode()
    for x, y in (point for arrow in drawn.arrows for point in arrow.path):
        assert (0 <= x <= size[0], 0 <= y <= size[1]) == (True, True)
    for box in drawn.boxes:
        assert 0 <= box.x1 <= box.x2 <= size[0]
        assert 0 <= box.y1 <= box.y2 <= size[1]


WORDS = st.sampled_from(["man", "traffic light", "dog", "in front of", "on", "wearing"])


@settings(max_examples=60, deadline=None)
@given(wild_graphs(WORDS, st.floats(0, 640)))
def test_no_two_labels_overlap_while_there_is_room(graph):
    """14 labels of at most 130 × 20 pixels leave more than 9 tenths of the picture free."""
    rects = [label.rect for label in labels(layout(graph, SIZE))]
    assert not [pair for pair in combinations(rects, 2) if overlap(*pair)]


@settings(max_examples=20, deadline=None)
@given(wild_graphs())
def test_equal_graphs_have_equal_layouts(graph):
    assert layout(graph, SIZE) == layout(graph, SIZE)


def test_a_relation_goes_from_the_edge_of_one_box_to_the_edge_of_the_other():
    drawn = layout(
        scene([("a", (20, 200, 120, 300)), ("b", (400, 200, 500, 300))], [(0, "on", 1)]), SIZE
    )
    (arrow,) = drawn.arrows
    assert arrow.path == ((120.0, 250.0), (400.0, 250.0))
    assert (arrow.subject, arrow.object, arrow.index) == (0, 1, 0)
    # its word stands on the line, in the middle
    x1, y1, x2, y2 = arrow.label.rect
    assert (x1 + x2) / 2 == pytest.approx(260, abs=1)
    assert y1 < 250 < y2
    assert arrow.label.leader is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((100, 100, 400, 400), (200, 200, 260, 260)),
        ((200, 200, 260, 260), (100, 100, 400, 400)),
        ((100, 100, 300, 300), (200, 150, 400, 350)),
        ((100, 100, 300, 300), (100, 100, 300, 300)),
        ((100, 100, 300, 300), (102, 100, 300, 302)),
        ((0, 0, 640, 480), (0, 0, 640, 480)),
    ],
)
def test_between_boxes_that_overlap_an_arrow_shows_too(a, b):
    drawn = layout(scene([("a", a), ("b", b)], [(0, "on", 1)]), SIZE)
    path = drawn.arrows[0].path
    assert math.dist(path[0], path[-1]) > drawn.font
    for point, box in ((path[0], drawn.boxes[0]), (path[-1], drawn.boxes[1])):
        on_sides = [abs(point[i % 2] - v) < 0.1 for i, v in enumerate(box.rect)]
        assert any(on_sides)


def test_opposite_and_repeated_arrows_of_a_pair_part():
    nodes = [("a", (20, 200, 120, 300)), ("b", (400, 200, 500, 300))]
    drawn = layout(scene(nodes, [(0, "on", 1), (1, "under", 0), (0, "near", 1)]), SIZE)
    middles = sorted(arrow.path[len(arrow.path) // 2][1] for arrow in drawn.arrows)
    assert middles[1] - middles[0] > drawn.font
    opposite = [arrow.path[len(arrow.path) // 2][1] for arrow in drawn.arrows[:2]]
    assert abs(opposite[0] - opposite[1]) > 5 * drawn.font
    assert middles[2] - middles[1] > drawn.font


@pytest.mark.parametrize("x", [100, 180, 260])
@pytest.mark.parametrize("y", [110, 160, 260])
def test_the_word_of_each_of_two_opposite_arrows_stands_nearer_to_its_own(x, y):
    """Pictures of a report's gallery: 380 pixels, each object of about 90."""
    nodes = [("a", (180, 20, 270, 100)), ("b", (x, y, x + 90, y + 90))]
    drawn = layout(scene(nodes, [(0, "above", 1), (1, "below", 0)]), (380, 380), smallest_side=1)
    for own, other in permutations(drawn.arrows):
        lines = (dense(arrow.path, 3) for arrow in (own, other))
        near, far = (distance(own.label.rect, line) for line in lines)
        assert far - near > 0.8 * drawn.font


def test_a_relation_of_an_object_to_itself_is_a_loop_at_a_corner():
    for box in [(100, 100, 300, 300), (0, 0, 300, 300), (400, 300, 640, 480), (0, 0, 640, 480)]:
        drawn = layout(scene([("a", box)], [(0, "on", 0), (0, "near", 0)]), SIZE)
        for arrow in drawn.arrows:
            assert len({*arrow.path}) > 6
            assert len({x for x, _ in arrow.path}) > 3


def test_objects_have_colours_of_their_own_which_their_relations_share():
    nodes = [("a", (40 * i + 5, 100, 40 * i + 35, 300)) for i in range(12)]
    drawn = layout(scene(nodes, [(7, "on", 3)]), SIZE)
    assert len({box.colour for box in drawn.boxes}) == 12
    assert drawn.arrows[0].colour == drawn.boxes[7].colour
    assert {item.mark for item in (*drawn.boxes, *drawn.arrows)} == {"plain"}


def test_marks_say_what_is_a_hit():
    nodes = [("a", (20, 200, 120, 300)), ("b", (400, 200, 500, 300))]
    graph = scene(nodes, [(0, "on", 1), (1, "under", 0)])
    drawn = layout(graph, SIZE, Marks(relations=[True, False]))
    assert [arrow.mark for arrow in drawn.arrows] == ["hit", "miss"]
    assert [box.mark for box in drawn.boxes] == ["plain", "plain"]
    assert len({item.colour for item in (*drawn.boxes, *drawn.arrows)}) == 3
    objects = layout(graph, SIZE, Marks(objects=[False, True]))
    assert [box.mark for box in objects.boxes] == ["miss", "hit"]


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        # an arrow that ends where a name would best stand
        (
            [("a", (15, 7, 43, 33)), ("green triangle", (45, 34, 82, 72)), ("c", (6, 58, 32, 85))],
            [(0, "left of", 1), (1, "right of", 2), (2, "below", 0)],
        ),
        # short arrows in boxes that overlap
        (
            [("a", (40, 30, 80, 90)), ("b", (45, 35, 60, 50)), ("c", (50, 50, 70, 88))],
            [(0, "wearing", 1), (0, "wearing", 2), (1, "in front of", 2), (2, "mounted on", 0)],
        ),
    ],
)
def test_no_label_covers_the_head_of_an_arrow(nodes, edges):
    drawn = layout(scene(nodes, edges), (112, 112))
    for x, y in (arrow.path[-1] for arrow in drawn.arrows):
        for x1, y1, x2, y2 in (label.rect for label in labels(drawn)):
            assert not (x1 < x < x2 and y1 < y < y2)


def test_a_label_without_room_nearby_has_a_line_to_what_it_names():
    nodes = [("traffic light", (310, 230, 330, 250))] * 14
    drawn = layout(scene(nodes), SIZE)
    rects = [box.label.rect for box in drawn.boxes]
    assert not [pair for pair in combinations(rects, 2) if overlap(*pair)]
    led = [box.label.leader for box in drawn.boxes if box.label.leader]
    assert led
    for start, end in led:
        assert 310 <= end[0] <= 330
        assert 230 <= end[1] <= 250
        assert math.dist(start, end) > drawn.font


def test_only_so_many_are_drawn_and_a_note_counts_the_rest():
    nodes = [("man", (i % 500, i % 400, i % 500 + 90, i % 400 + 90)) for i in range(MAX_DRAWN + 7)]
    drawn = layout(scene(nodes, [(0, "on", MAX_DRAWN + 1), (1, "on", 2)]), SIZE)
    assert len(drawn.boxes) == MAX_DRAWN
    assert [arrow.index for arrow in drawn.arrows] == [1]
    assert drawn.note.text == "8 more are not drawn"
    assert layout(scene(nodes[:3]), SIZE).note is None


def test_small_images_are_drawn_larger_and_the_layout_is_in_their_pixels():
    drawn = layout(scene([("a", (25, 50, 75, 100))]), (112, 112))
    assert drawn.scale == pytest.approx(640 / 112)
    assert drawn.boxes[0].rect == (25, 50, 75, 100)
    assert drawn.font * drawn.scale == pytest.approx(640 / 42)


def test_the_largest_pictures_take_about_a_second_of_one_core():
    """0.3 to 0.7 s were measured; the limit leaves room for a slower machine."""
    many = [
        ("man", (i % 25 * 20, i % 19 * 20, i % 25 * 20 + 70, i % 19 * 20 + 90)) for i in range(300)
    ]
    graph = scene(many, [(i, "in front of", (i * 7 + 1) % 300) for i in range(300)])
    begin = time.process_time()
    layout(graph, SIZE)
    assert time.process_time() - begin < 2
