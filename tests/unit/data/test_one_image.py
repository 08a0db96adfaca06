"""One image that a user names: read, or refused in a sentence."""

from __future__ import annotations

import logging

import pytest
from PIL import Image

from sgg.data.one_image import open_image_file
from sgg.errors import SggError


def test_a_turned_image_comes_upright_and_nothing_is_said(tmp_path, caplog):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    with caplog.at_level(logging.WARNING):
        image = open_image_file(tmp_path / "a.jpg")
    assert (image.mode, image.size, caplog.text) == ("RGB", (20, 30), "")


def test_what_is_odd_is_said(tmp_path, caplog):
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_image_file(tmp_path / "a.gif").getpixel((1, 1)) == (255, 0, 0)
    assert "a.gif: " in caplog.text


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(SggError, match=r"none\.jpg: no such image"):
        open_image_file(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(SggError, match=r"text\.jpg: not an image that can be decoded"):
        open_image_file(tmp_path / "text.jpg")
