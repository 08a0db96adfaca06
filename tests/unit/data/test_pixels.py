"""Pixels of every kind that Pillow decodes come out as 8-bit RGB as bright as they were meant."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from data_files import jsonl_config, line, prepared, truncated, write_image, write_lines
from PIL import Image, TiffImagePlugin

from sgg.data.images import look, open_upright

RAMP = np.linspace(0, 1, 64 * 48).reshape(48, 64)


def saved(pixels, form="TIFF", **more):
    """(image as it is used, kinds) of a file with these pixels."""
    file, kinds = BytesIO(), set()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, form, **more)
    return open_upright(BytesIO(file.getvalue()), kinds.add), kinds


def levels(pixels, form="TIFF", **more):
    """One channel of a grey image; the three are equal."""
    image, kinds = saved(pixels, form, **more)
    assert kinds == {"wide_grey"}
    red, green, blue = (np.asarray(channel).astype(int) for channel in image.split())
    assert (red == green).all()
    assert (green == blue).all()
    return red


def test_transparent_pixels_are_white():
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    shown = saved(image, "PNG")[0]
    assert [shown.getpixel((x, 0)) for x in range(3)] == [
        (255, 255, 255),
        (127, 127, 127),
        (255, 0, 0),
    ]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bits_span_the_range_of_their_type(form, dtype):
    pixels = np.array([[0, 257, 25700, 65535]], dtype=dtype)
    assert levels(pixels, form).tolist() == [[0, 1, 100, 255]]


@pytest.mark.parametrize(
    "pixels",
    [
        (RAMP * 65535).astype(np.int32),
        (RAMP * 255).astype(np.int32),
        (RAMP * 2e9 - 1e9).astype(np.int32),
        RAMP.astype(np.float32),
        (RAMP * 255).astype(np.float32),
        (RAMP * 65535).astype(np.float32),
        (RAMP * 7e5 - 3e5).astype(np.float32),
    ],
    ids=["32 bits of 16", "32 bits of 8", "32 bits", "0..1", "0..255", "0..65535", "any floats"],
)
def test_wider_pixels_span_the_range_that_they_fit(pixels):
    seen = levels(pixels)
    assert np.abs(seen - RAMP * 255).max() <= 1.01


def test_a_dark_image_stays_dark():
    assert levels((RAMP * 20000).astype(np.int32)).max() == 78
    assert levels((RAMP * 20000).astype(np.uint16)).max() == 78
    assert levels((RAMP * 0.2).astype(np.float32)).max() == 51


@pytest.mark.parametrize("value", [0.0, 1e6, -5.0, np.nan, np.inf])
def test_a_image_of_one_value_is_no_crash(value):
    assert len(np.unique(levels(np.full((4, 6), value, np.float32)))) == 1


def test_pixels_that_are_no_numbers_hide_no_others():
    pixels = RAMP.astype(np.float32).copy()
    pixels[0, :3] = np.nan, np.inf, -np.inf
    seen = levels(pixels)
    assert seen[0, :3].tolist() == [0, 255, 0]
    assert np.abs(seen - RAMP * 255)[1:].max() <= 1.01


def test_whole_numbers_without_a_sign():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[339] = 1
    pixels = (RAMP * 4e9).astype(np.uint32)
    file = BytesIO()
    Image.fromarray(pixels.view(np.int32)).save(file, "TIFF")
    data = bytearray(file.getvalue())
    place = data.index(np.array([339, 3], "<u2").tobytes()) + 8
    assert data[place] == 2  # Pillow wrote: with a sign
    data[place] = 1
    seen = np.asarray(open_upright(BytesIO(bytes(data))))[..., 0].astype(int)
    assert np.abs(seen - RAMP * 255).max() <= 1.01


def test_grey_where_white_is_zero():
    file = BytesIO()
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(file, "TIFF")
    data = bytearray(file.getvalue())
    place = data.index(np.array([262, 3], "<u2").tobytes()) + 8
    assert data[place] == 1
    data[place] = 0
    seen = np.asarray(open_upright(BytesIO(bytes(data))))[..., 0].astype(int)
    assert np.abs(255 - seen - RAMP * 255).max() <= 1.01


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "P",
        "LA",
        "La",
        "PA",
        "CMYK",
        "YCbCr",
        "LAB",
        "RGBA",
        "RGBa",
        "RGBX",
        "HSV",
        "I;16",
        "I",
        "F",
    ],
)
def test_other_modes_come_out_as_rgb(mode):
    from sgg.data.pixels import to_rgb

    through = {"LAB": None, "La": "LA", "RGBa": "RGBA", "PA": "P"}
    if mode in ("I;16", "I", "F"):
        image = Image.new(mode, (8, 6), 65535)
    elif mode == "LAB":
        image = Image.new(mode, (8, 6), (255, 128, 128))
    else:
        image = Image.new("RGB", (8, 6), "white").convert(through.get(mode, mode)).convert(mode)
    image = to_rgb(image)
    assert image.mode == "RGB"
    assert min(image.getpixel((3, 3))) >= 254


def test_sixteen_bits_of_colour():
    """Pillow keeps the upper byte of each; what it cannot write is written here by hand."""
    import struct
    import zlib

    def png(kind, *channels):
        def chunk(name, content):
            check = zlib.crc32(name + content)
            return struct.pack(">L", len(content)) + name + content + struct.pack(">L", check)

        row = b"\0" + struct.pack(f">{len(channels)}H", *channels)
        header = chunk(b"IHDR", struct.pack(">LLBBBBB", 1, 1, 16, kind, 0, 0, 0))
        return (
            b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
        )

    for data, expected in (
        (png(2, 65535, 32768, 0), (255, 128, 0)),
        (png(6, 65535, 32768, 0, 65535), (255, 128, 0)),
        (png(6, 65535, 32768, 0, 0), (255, 255, 255)),
        (png(4, 32768, 65535), (128, 128, 128)),
        (png(0, 32768), (128, 128, 128)),
    ):
        assert open_upright(BytesIO(data)).getpixel((0, 0)) == expected


def test_palettes_and_greys_with_a_transparent_colour():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for transparency in (0, b"\0\xff"):
        shown = saved(palette, "PNG", transparency=transparency)[0]
        assert [shown.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]
    grey = Image.new("L", (2, 1), 7)
    grey.putpixel((1, 0), 100)
    shown = saved(grey, "PNG", transparency=7)[0]
    assert [shown.getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (100,) * 3]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "MPO", "AVIF"])
def test_the_first_frame_is_taken_and_the_others_are_counted(form):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    file, kinds, of_header = BytesIO(), set(), set()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    image = open_upright(BytesIO(file.getvalue()), kinds.add)
    assert np.abs(np.asarray(image).astype(int) - (255, 0, 0)).max() < 10
    assert look(BytesIO(file.getvalue()), False, of_header.add) == ((16, 16), "")
    assert kinds == of_header == {"several_frames"}


def test_what_is_odd_about_pixels_is_counted(tmp_path):
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(tmp_path / "deep.png")
    moving = Image.new("RGB", (64, 48))
    moving.save(
        tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")]
    )
    write_image(tmp_path / "plain.jpg", (64, 48))
    truncated(tmp_path / "cut.jpg", (64, 48))
    names = ["deep.png", "moving.gif", "plain.jpg", "cut.jpg"]
    write_lines(tmp_path, [line(n, {"man.1": [1, 1, 30, 30]}, size=(64, 48)) for n in names])
    report = prepared(jsonl_config(tmp_path), tmp_path).report
    assert report["issues"] == {"wide_grey": 1, "several_frames": 1, "broken_image": 1}
    assert report["shown"]["wide_grey"] == ["deep"]
