"""Drawn graphs: sizes, what is painted where, and graphs that are out of the ordinary."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from strategies import scene

from sgg.drawing.layout import LARGEST_SIDE, SMALLEST_SIDE, Marks, layout
from sgg.drawing.raster import png
from sgg.report.content.picture import jpeg

GREY = (128, 128, 128)


def grey(width, height, mode="RGB"):
    return Image.new("RGB", (width, height), GREY).convert(mode)


def drawn_on(image, graph, marks=None):
    return png(image, layout(graph, image.size, marks))


def painted(image):
    """Which pixels are not the background any more, shape (height, width)."""
    return (np.asarray(image) != GREY).any(axis=-1)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((700, 650), (700, 650)),
        ((640, 2000), (640, 2000)),
        # enlarged until the smaller side is 640
        ((112, 112), (640, 640)),
        ((320, 400), (640, 800)),
        # a strip: until the larger side is 4096
        ((20, 2048), (40, 4096)),
        ((8000, 40), (8000, 40)),
    ],
)
def test_small_images_are_enlarged_within_reason(size, drawn):
    assert (SMALLEST_SIDE, LARGEST_SIDE) == (640, 4096)
    assert drawn_on(grey(*size), scene()).size == drawn


def test_the_widest_strip_that_models_take_fits_into_a_jpeg():
    """4000 × 20, ratio 200; JPEG holds 65,500 pixels a side."""
    assert jpeg(drawn_on(grey(4000, 20), scene([("sky", (0, 0, 4000, 20))])))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_the_image_itself_is_left_alone_and_any_mode_will_do(mode):
    image = grey(700, 700, mode)
    before = image.tobytes()
    drawn = drawn_on(image, scene([("man", (10, 10, 400, 400))]))
    assert drawn.mode == "RGB"
    assert (image.mode, image.tobytes()) == (mode, before)
    assert drawn_on(image, scene()).tobytes() == image.convert("RGB").tobytes()


def test_a_box_is_outlined_where_it_is_and_empty_inside():
    on = painted(drawn_on(grey(700, 700), scene([("a", (100, 200, 300, 400))])))
    for x, y in [(100, 300), (300, 300), (200, 400), (299, 399)]:
        assert on[y, x]
    assert not on[250:390, 110:290].any()
    assert not on[:170].any()  # above it is its label
    assert not on[170:410, 310:].any()
    assert not on[410:].any()


def test_boxes_scale_with_the_image():
    """128 -> 640: five times."""
    on = painted(drawn_on(grey(128, 128), scene([("a", (25, 50, 75, 100))])))
    assert on[375, 125]
    assert on[375, 375]
    assert not on[310:490, 140:360].any()


def test_an_arrow_has_its_head_at_the_object():
    """From (120, 350) to (580, 350)."""
    nodes = [("a", (20, 310, 120, 390)), ("b", (580, 310, 680, 390))]
    new = painted(drawn_on(grey(700, 700), scene(nodes, [(0, "on", 1)])))
    new &= ~painted(drawn_on(grey(700, 700), scene(nodes)))
    assert new[350, 200]
    assert new[340:361, 570].sum() > 1.5 * new[340:361, 130].sum()
    assert abs(int(new[340:350, 570].sum()) - int(new[351:361, 570].sum())) <= 2


def test_misses_are_dashed():
    nodes = [("a", (20, 310, 120, 390)), ("b", (580, 310, 680, 390))]
    graph = scene(nodes, [(0, "on", 1)])
    hit, miss = (
        painted(drawn_on(grey(700, 700), graph, Marks(relations=[is_hit])))
        for is_hit in (True, False)
    )
    assert hit[350, 130:300].all()
    assert 0.3 < miss[350, 130:300].mean() < 0.8


@pytest.mark.parametrize("ground", ["white", "black", "yellow"])
def test_every_line_shows_on_any_image(ground):
    """Each has a halo of the opposite brightness: some pixel differs much from the image."""
    nodes = [("a", (40 * i + 5, 100, 40 * i + 30, 600)) for i in range(16)]
    drawn = drawn_on(
        Image.new("L" if ground != "yellow" else "RGB", (700, 700), ground), scene(nodes)
    )
    grounds = np.asarray(Image.new("RGB", (1, 1), ground).convert("L")).astype(int)
    for i in range(16):
        row = np.asarray(drawn.convert("L"))[450, 40 * i : 40 * i + 12].astype(int)
        assert abs(row - grounds[0, 0]).max() > 70


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
    assert painted(drawn_on(grey(700, 700), graph))[10:50, 10].all()


def test_boxes_are_cut_off_at_the_edge():
    """Pillow paints outside of the image too: 20 boxes of ten million pixels took seconds."""
    far = scene([("man", (-1e7, -1e7, 1e7, 1e7)), ("dog", (1e9, 1e9, 2e9, 2e9))], [(0, "on", 1)])
    cut = scene([("man", (0, 0, 700, 700)), ("dog", (700, 700, 700, 700))], [(0, "on", 1)])
    image = grey(700, 700)
    assert drawn_on(image, far).tobytes() == drawn_on(image, cut).tobytes()


def test_large_pictures_are_painted_as_they_are():
    """Past 4 megapixels without smoothing: the box is where it is."""
    on = painted(drawn_on(grey(2400, 2400), scene([("a", (100, 100, 2200, 2000))])))
    assert on[1000, 100]
    assert on[1000, 2200]
    assert not on[1000, 130:2170].any()
