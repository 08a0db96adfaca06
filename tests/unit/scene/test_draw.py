"""Drawn graphs: sizes, what is painted where, and graphs that are out of the ordinary."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from strategies import scene

from sgg.report.html import image_tag
from sgg.scene.draw import LARGEST_SIDE, MAX_DRAWN, SMALLEST_SIDE, draw_graph

GREY = (128, 128, 128)


def grey(width, height, mode="RGB"):
    return Image.new("RGB", (width, height), GREY).convert(mode)


def painted(image):
    """Which pixels are not the background any more, shape (height, width)."""
    return (np.asarray(image) != GREY).any(axis=-1)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((600, 500), (600, 500)),
        ((448, 2000), (448, 2000)),
        # enlarged until the smaller side is 448
        ((112, 112), (448, 448)),
        ((224, 300), (448, 600)),
        # a strip: until the larger side is 4096
        ((20, 2048), (40, 4096)),
        ((8000, 40), (8000, 40)),
    ],
)
def test_small_images_are_enlarged_within_reason(size, drawn):
    assert (SMALLEST_SIDE, LARGEST_SIDE) == (448, 4096)
    assert draw_graph(grey(*size), scene()).size == drawn


def test_the_widest_strip_that_models_take_fits_into_a_jpeg():
    """4000 × 20, ratio 200; JPEG holds 65,500 pixels a side."""
    assert image_tag(draw_graph(grey(4000, 20), scene([("sky", (0, 0, 4000, 20))])), "sky")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_the_image_itself_is_left_alone_and_any_mode_will_do(mode):
    image = grey(500, 500, mode)
    before = image.tobytes()
    drawn = draw_graph(image, scene([("man", (10, 10, 400, 400))]))
    assert drawn.mode == "RGB"
    assert (image.mode, image.tobytes()) == (mode, before)
    assert draw_graph(image, scene()).tobytes() == image.convert("RGB").tobytes()


def test_a_box_is_outlined_where_it_is_and_empty_inside():
    on = painted(draw_graph(grey(500, 500), scene([("a", (100, 200, 300, 400))])))
    for x, y in [(100, 300), (300, 300), (200, 400), (299, 399)]:
        assert on[y, x]
    assert not on[250:390, 110:290].any()
    assert not on[:198].any()
    assert not on[410:].any()


def test_boxes_scale_with_the_image():
    """112 -> 448: four times."""
    on = painted(draw_graph(grey(112, 112), scene([("a", (25, 50, 75, 100))])))
    assert on[300, 100]
    assert on[300, 300]
    assert not on[250:390, 110:290].any()


@pytest.mark.parametrize("vertical", [False, True])
def test_a_relation_is_an_arrow_between_centres_with_its_word_in_the_middle(vertical):
    """From (60, 250) to (440, 250), or the same downwards; the word stands at (250, 250)."""
    ends = [(20, 210, 100, 290), (400, 210, 480, 290)]
    if vertical:
        ends = [(y1, x1, y2, x2) for x1, y1, x2, y2 in ends]
    nodes = [("a", ends[0]), ("b", ends[1])]
    with_edge = painted(draw_graph(grey(500, 500), scene(nodes, [(0, "on", 1)])))
    new = with_edge & ~painted(draw_graph(grey(500, 500), scene(nodes)))
    assert new[252:262, 250:262].any()
    along = new.T if vertical else new
    across, places = np.nonzero(along)
    assert along[250, 150]
    assert (places.min() >= 58, places.max() <= 442) == (True, True)
    assert (across.min() >= 240, across.max() <= 280) == (True, True)
    # the head is at the object's end, and symmetric
    assert along[244:257, 430].sum() > along[244:257, 70].sum()
    assert abs(int(along[240:250, 430].sum()) - int(along[251:261, 430].sum())) <= 2


def test_a_relation_to_itself_is_a_word_without_an_arrow():
    nodes = [("a", (100, 100, 300, 300))]
    with_edge = painted(draw_graph(grey(500, 500), scene(nodes, [(0, "on", 0)])))
    new = with_edge & ~painted(draw_graph(grey(500, 500), scene(nodes)))
    rows, columns = np.nonzero(new)
    assert (rows.min() >= 195, columns.min() >= 195) == (True, True)
    assert (rows.max() <= 230, columns.max() <= 250) == (True, True)


def test_objects_have_colours_of_their_own():
    nodes = [("a", (40 * i + 5, 100, 40 * i + 35, 300)) for i in range(12)]
    drawn = draw_graph(grey(500, 500), scene(nodes))
    assert len({drawn.getpixel((40 * i + 5, 250)) for i in range(12)}) == 12


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("inverted", (400, 300, 100, 200)),
        ("past every edge", (-100, -50, 900, 700)),
        ("outside", (900, 900, 950, 950)),
        ("wild", (-1e6, -1e6, 1e6, 1e6)),
        ("a point", (5, 5, 5, 5)),
        ("x" * 300, (10, 10, 200, 200)),
        ("", (10, 10, 200, 200)),
        ("日本\n語", (10, 10, 200, 200)),
    ],
)
def test_whatever_a_model_writes_can_be_drawn(name, box):
    graph = scene([(name, box), ("b", (10, 10, 50, 50))], [(0, name, 1), (1, name, 0)])
    assert painted(draw_graph(grey(500, 500), graph))[10:50, 10].all()


def test_long_words_are_cut():
    """40 characters at most: a longer name draws no more."""
    box = (0, 0, 1999, 400)
    long, longer = (draw_graph(grey(2000, 500), scene([("m" * n, box)])) for n in (60, 600))
    assert long.tobytes() == longer.tobytes()


def test_boxes_are_cut_off_at_the_edge():
    """Pillow paints outside of the image too: 20 boxes of ten million pixels took seconds."""
    far = scene([("man", (-1e7, -1e7, 1e7, 1e7)), ("dog", (1e9, 1e9, 2e9, 2e9))], [(0, "on", 1)])
    cut = scene([("man", (0, 0, 600, 500)), ("dog", (600, 500, 600, 500))], [(0, "on", 1)])
    image = grey(600, 500)
    assert draw_graph(image, far).tobytes() == draw_graph(image, cut).tobytes()


def test_only_so_many_items_are_drawn_and_the_rest_is_counted():
    boxes = [("man", (i % 500, i % 400, i % 500 + 90, i % 400 + 90)) for i in range(MAX_DRAWN + 7)]
    image = grey(600, 500)
    drawn = draw_graph(image, scene(boxes, [(0, "on", MAX_DRAWN + 1)]))
    first = draw_graph(image, scene(boxes[:MAX_DRAWN], []))
    differs = (np.asarray(drawn) != np.asarray(first)).any(axis=-1)
    assert differs[:30].any()  # "8 more are not drawn", at the top
    assert not differs[30:].any()
