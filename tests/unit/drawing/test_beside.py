"""The graph beside its image: every relation is there, and nothing covers anything."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from strategies import scene, small_graphs

from sgg.drawing.beside import alone, with_graph_beside
from sgg.drawing.layout import MAX_DRAWN, layout
from sgg.drawing.raster import png
from sgg.drawing.shapes import Line, Text

MANY = scene(
    [("man", (10 * i, 10, 10 * i + 9, 90)) for i in range(40)],
    [(i // 4, "next to", 39 - i) for i in range(40)],
)


def texts(picture):
    return [shape for shape in picture.shapes if isinstance(shape, Text)]


def test_a_subject_stands_above_its_relations_and_lone_objects_last():
    nodes = [("man", (0, 0, 9, 9)), ("dog", (9, 9, 20, 20)), ("cup", (30, 30, 40, 40))]
    picture = alone(layout(scene(nodes, [(1, "near", 0), (0, "holds", 1), (0, "on", 0)]), (60, 60)))
    assert [shape.text for shape in texts(picture)] == [
        *("man.1", "holds", "dog.2", "on", "man.1", "dog.2", "near", "man.1", "cup.3")
    ]


@settings(max_examples=40, deadline=None)
@given(small_graphs())
def test_each_relation_has_its_row_within_the_picture_and_on_no_other(graph):
    picture = alone(layout(graph, (6, 6)))
    assert sum(
        isinstance(shape, Line) and shape.halo is not None for shape in picture.shapes
    ) == len(graph.edges)
    rects = [shape.rect for shape in texts(picture)]
    for (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) in combinations(rects, 2):
        assert min(ax2, bx2) <= max(ax1, bx1) or min(ay2, by2) <= max(ay1, by1)
    for x1, y1, x2, y2 in rects:
        assert (0 <= x1 < x2 <= picture.width, 0 <= y1 < y2 <= picture.height) == (True, True)


def test_a_subject_that_goes_on_in_another_column_is_named_again():
    picture = alone(layout(scene([("man", (0, 0, 9, 9))], [(0, "on", 0)] * 60), (640, 480)))
    heads = [shape.rect[0] for shape in texts(picture) if shape.text == "man.1"]
    columns = {x for x in heads if heads.count(x) == 1}
    assert len(columns) > 1
    assert sum(shape.text == "on" for shape in texts(picture)) == 60


@pytest.mark.parametrize(("size", "grows"), [((640, 480), "width"), ((2000, 400), "height")])
def test_it_stands_at_the_right_or_below_a_wide_image(size, grows):
    drawn = layout(MANY, size)
    picture = with_graph_beside(drawn)
    assert getattr(picture, grows) > getattr(drawn, grows)
    extra = texts(picture)[len(drawn.boxes) + len(drawn.arrows) :]
    place = 0 if grows == "width" else 1
    assert min(shape.rect[place] for shape in extra) > size[place]


def test_names_that_a_narrow_image_cuts_are_whole_beside_it():
    drawn = layout(scene([("traffic light", (0, 0, 10, 900))]), (20, 2000))
    assert drawn.boxes[0].label.text.endswith("…")
    assert [shape.text for shape in texts(alone(drawn))] == ["traffic light.1"]


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (1, 1)])
def test_beside_an_image_without_room_for_names_they_can_be_read(size):
    drawn = layout(scene([("man", (0, 0, *size)), ("dog", (0, 0, *size))], [(0, "near", 1)]), size)
    for picture in (alone(drawn), with_graph_beside(drawn)):
        names = [shape for shape in texts(picture) if shape.text == "man.1"]
        assert [shape.font * drawn.scale >= 12 for shape in names][-1]
    assert sum(png(Image.new("RGB", size), drawn, beside=True).size) > sum(size)


def test_what_is_not_drawn_is_counted_there_too():
    graph = scene([("man", (0, 0, 9, 9))] * (MAX_DRAWN + 2))
    assert texts(alone(layout(graph, (640, 480))))[-1].text == "2 more are not drawn"


def test_without_objects_there_is_nothing_beside_the_image():
    drawn = layout(scene(), (640, 480))
    assert with_graph_beside(drawn).width == 640
    assert png(None, drawn).size[0] > 0


def test_the_raster_has_the_image_at_its_left_and_paper_at_its_right():
    image = Image.new("RGB", (700, 640), "navy")
    drawn = layout(
        scene([("man", (9, 9, 200, 200)), ("dog", (300, 300, 400, 400))], [(0, "on", 1)]),
        image.size,
    )
    pixels = np.asarray(png(image, drawn, beside=True))
    assert pixels.shape[1] > 800
    assert tuple(pixels[630, 690]) == (0, 0, 128)
    assert tuple(pixels[630, -5]) == (255, 255, 255)
    assert np.array_equal(pixels[:640, :700], np.asarray(png(image, drawn)))
    graph = np.asarray(png(None, drawn))
    assert (graph != 255).any()
    assert not (graph == (0, 0, 128)).all(axis=2).any()
