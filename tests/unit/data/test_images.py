"""Images by reference: upright RGB of the annotated size, or an error with a message."""

from __future__ import annotations

import os
from io import BytesIO
from zlib import crc32

import numpy as np
import pytest
from data_files import rotated, truncated, write_image
from PIL import Image

from sgg.data.images import ImageStore, look, open_upright, row_image, stamp
from sgg.data.paint import paint
from sgg.data.shapes import ScenePlan, draw, scene
from sgg.errors import SggError
from sgg.scene.graph import Node, SceneGraph

EMPTY = SceneGraph()


def load(path, width=100, height=80):
    return ImageStore("data.eval").load(f"file:{path}", EMPTY, width, height)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.gif"])
def test_files_of_common_formats(tmp_path, name):
    image = load(write_image(tmp_path / name))
    assert image.mode == "RGB"
    assert image.size == (100, 80)
    assert np.abs(np.asarray(image)[40, 50].astype(int) - (255, 0, 0)).max() <= 3


def quadrants() -> Image.Image:
    """Four colours, 40 × 20, so that every turn shows."""
    image = Image.new("RGB", (40, 20))
    for i, colour in enumerate(("red", "lime", "blue", "white")):
        image.paste(colour, (20 * (i % 2), 10 * (i // 2), 20 * (i % 2) + 20, 10 * (i // 2) + 10))
    return image


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera did to the upright image, by the EXIF orientation it notes."""


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turns_images_upright(tmp_path, orientation, suffix):
    upright, exif = quadrants(), Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    path = tmp_path / f"a{suffix}"
    stored.save(path, exif=exif, **({"quality": 100} if suffix == ".jpg" else {"lossless": True}))
    image = open_upright(path)
    difference = np.asarray(image).astype(int) - np.asarray(upright)
    assert np.abs(difference)[4:6, 8:12].max() < 12  # inside the first quadrant
    assert np.abs(difference).mean() < 6
    assert look(path, decode=True) == look(path, decode=False) == ((40, 20), "")


def broken_files(folder):
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "folder.jpg").mkdir()
    truncated(folder / "cut.png")
    truncated(folder / "cut.jpg", (400, 300))
    return ["text.jpg", "empty.png", "folder.jpg", "cut.png", "cut.jpg"]


def test_broken_and_missing_files_are_told_apart(tmp_path):
    for name in broken_files(tmp_path):
        assert look(tmp_path / name, decode=True) == ((0, 0), "broken_image"), name
        with pytest.raises(SggError, match=rf"{name} cannot be decoded .*data\.image_check=decode"):
            load(tmp_path / name)
    assert look(tmp_path / "no.jpg", decode=True) == ((0, 0), "no_image")
    assert look(None, decode=False) == ((0, 0), "no_image")
    with pytest.raises(SggError, match=r"^data\.eval: image .*no\.jpg is missing\..*`sgg prepare`"):
        load(tmp_path / "no.jpg")


def test_header_alone_does_not_find_cut_pixels(tmp_path):
    path = truncated(tmp_path / "cut.jpg", (400, 300))
    assert look(path, decode=False) == ((400, 300), "")


def test_a_image_larger_than_pil_decodes_is_broken(tmp_path):
    path = tmp_path / "bomb.png"
    write_image(path, (1, 1))
    data = bytearray(path.read_bytes())
    data[16:24] = (40_000).to_bytes(4, "big") * 2  # IHDR: 1.6 gigapixels
    data[29:33] = crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)
    assert look(path, decode=False) == ((0, 0), "broken_image")


def test_a_image_of_another_size_is_never_handed_out(tmp_path):
    path = rotated(tmp_path / "a.jpg", (60, 100))
    assert load(path, 100, 60).size == (100, 60)
    with pytest.raises(SggError, match=r"100 × 60, but was prepared as 60 × 100.*image_check"):
        load(path, 60, 100)


def test_rows_are_opened_once_and_only_when_asked_for(tmp_path):
    opened = []
    data = write_image(tmp_path / "a.png").read_bytes()

    def open_rows():
        opened.append(1)
        return [{"image": {"bytes": b"no", "path": None}}, {"image": {"bytes": data, "path": None}}]

    store = ImageStore("data.train", open_rows)
    assert not opened
    assert store.load("row:1", EMPTY, 100, 80).size == (100, 80)
    assert store.load("row:1", EMPTY, 100, 80).getpixel((5, 5)) == (255, 0, 0)
    with pytest.raises(
        SggError, match=r"^data\.train: image of row 0 cannot be decoded \(UnidentifiedImageError"
    ):
        store.load("row:0", EMPTY, 100, 80)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, type(None)),
        ({"bytes": None, "path": None}, type(None)),
        ({"bytes": b"x", "path": "a.jpg"}, BytesIO),
    ],
)
def test_row_images(value, kind):
    assert type(row_image(value)) is kind


def test_row_images_by_path(tmp_path):
    path = write_image(tmp_path / "a.png")
    assert look(row_image({"bytes": None, "path": str(path)}), True) == ((100, 80), "")


def test_drawn_and_painted_images_need_no_reference():
    plan = ScenePlan()
    graph = scene(plan, 0, 1)
    assert (
        ImageStore("data.train", plan=plan).load("", graph, 112, 112).tobytes()
        == draw(plan, graph).tobytes()
    )
    gold = SceneGraph((Node("man", (1, 1, 20, 20)),))
    image = ImageStore("data.train", painted=True).load("file:/none.jpg", gold, 60, 40)
    assert image.tobytes() == paint(gold, 60, 40).tobytes()


def test_stamps_change_with_the_file(tmp_path):
    path = tmp_path / "a.jpg"
    assert stamp(str(path)) is None
    assert stamp(str(tmp_path)) is None
    path.write_bytes(b"12345")
    first = stamp(str(path))
    assert first == stamp(str(path))
    path.write_bytes(b"123456")
    second = stamp(str(path))
    os.utime(path, ns=(1, 1))  # the same number of bytes, written at another time
    assert len({first, second, stamp(str(path))}) == 3
