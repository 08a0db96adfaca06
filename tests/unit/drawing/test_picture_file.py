"""A picture in a file: by its suffix, with an image that is small without loss and large as JPEG."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import pytest
from PIL import Image
from strategies import scene

from sgg.drawing.layout import layout
from sgg.drawing.picture_file import write_picture

GRAPH = scene([("man", (2, 2, 30, 40))])


def inside(path):
    (content,) = re.findall(r'data:image/\w+;base64,([^"]+)', path.read_text())
    return Image.open(BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(
    ("size", "form"), [((512, 512), "PNG"), ((513, 512), "JPEG"), ((65_501, 20), "PNG")]
)
def test_the_image_in_an_svg_can_be_read_again(tmp_path, size, form):
    path = tmp_path / "a.svg"
    write_picture(path, Image.new("RGBA", size, "teal"), layout(GRAPH, size))
    image = inside(path)
    assert (image.format, image.size) == (form, size)
    if form == "PNG":
        assert image.getpixel((0, 0)) == (0, 128, 128)


def test_png_and_svg_by_suffix(tmp_path):
    drawn = layout(GRAPH, (640, 640))
    for name in ("a.png", "A.PNG"):
        write_picture(tmp_path / name, Image.new("RGB", (640, 640)), drawn)
        assert Image.open(tmp_path / name).format == "PNG"
    write_picture(tmp_path / "a.svg", None, drawn)
    assert "<image" not in (tmp_path / "a.svg").read_text()
    write_picture(tmp_path / "b.png", None, drawn)
    assert Image.open(tmp_path / "b.png").width < 640
