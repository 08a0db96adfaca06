"""SVG: well formed whatever a name holds, and the same picture as the raster's."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from strategies import ANY_TEXT, scene

from sgg.drawing.colours import PAPER
from sgg.drawing.layout import Marks, layout
from sgg.drawing.shapes import Area, Line, Text, on_image
from sgg.drawing.svg import svg

SPACE = "{http://www.w3.org/2000/svg}"
NODES = [("man", (20, 200, 120, 300)), ("dog", (400, 200, 500, 300))]


def drawn(name="man", predicate="on", marks=None):
    nodes = [(name, NODES[0][1]), NODES[1]]
    return layout(scene(nodes, [(0, predicate, 1)]), (640, 480), marks)


def texts(document):
    return [element.text for element in ET.fromstring(document).iter(f"{SPACE}text")]


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_any_name_makes_a_well_formed_document(name, predicate):
    for uri in (None, "a.png"):
        ET.fromstring(svg(drawn(name, predicate), uri))


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><svg onload=x>',
        "]]>&lt;&#60;",
        "' onerror='x",
        "]]><!-- --> <![CDATA[",
    ],
)
def test_names_are_text_and_nothing_else(name):
    document = svg(drawn(name, name), None)
    assert texts(document).count(name) == 1  # the relation's word
    assert texts(document).count(f"{name}.1") == 1
    tags = {element.tag for element in ET.fromstring(document).iter()}
    assert tags == {SPACE + t for t in ("svg", "title", "rect", "polyline", "polygon", "text")}
    for element in ET.fromstring(document).iter():
        assert not [key for key in element.attrib if key.startswith("on")]


def test_the_image_stands_below_all_else_and_its_address_is_escaped():
    address = 'a"b<c>&d.png'
    root = ET.fromstring(svg(drawn(), address))
    (image,) = root.iter(f"{SPACE}image")
    assert (image.get("href"), image.get("width"), image.get("height")) == (address, "640", "480")
    assert [*root].index(image) == 1  # after the title
    assert not [*ET.fromstring(svg(drawn(), None)).iter(f"{SPACE}image")]


def test_each_shape_is_an_element():
    picture = on_image(drawn(marks=Marks(relations=[False])))
    document = svg(drawn(marks=Marks(relations=[False])), "a.png")
    lines = [shape for shape in picture.shapes if isinstance(shape, Line)]
    assert document.count("<polyline") == len(lines) + sum(bool(line.halo) for line in lines)
    assert document.count("<polygon") == sum(isinstance(shape, Area) for shape in picture.shapes)
    assert texts(document) == [shape.text for shape in picture.shapes if isinstance(shape, Text)]
    assert document.count("stroke-dasharray") == 2  # the miss and its halo
    assert "stroke-dasharray" not in svg(drawn(marks=Marks(relations=[True])), "a.png")


def test_its_size_is_that_of_the_drawn_picture_and_its_units_those_of_the_image():
    root = ET.fromstring(svg(layout(scene(NODES), (64, 64)), "a.png"))
    assert root.get("viewBox") == "0 0 64 64"
    assert (root.get("width"), root.get("height")) == ("640", "640")


def test_the_graph_beside_widens_it_and_alone_leaves_the_boxes_out():
    beside = ET.fromstring(svg(drawn(), "a.png", beside=True))
    width = float(beside.get("viewBox").split()[2])
    assert width > 700
    assert texts(svg(drawn(), "a.png", beside=True)).count("man.1") == 2
    alone = svg(drawn(), None)
    assert texts(alone) == ["man.1", "on", "dog.2"]
    assert f'fill="{PAPER}"' in alone, "words are dark, and a page that shows it may be, too"
