"""Image files of strangers: a regular file of a known format and a bounded size, or a counted problem."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from data_files import BOXES, NEAR, jsonl_config, line, prepared, write_image, write_lines
from PIL import EpsImagePlugin, Image

from sgg.data.clean import MAX_PIXELS
from sgg.data.images import MAX_FILE, BrokenImage, look, open_upright
from sgg.data.pixels import to_rgb

EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
SAVED = (
    *("AVIF", "BLP", "BMP", "DDS", "DIB", "EPS", "GIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000"),
    *("MPO", "MSP", "PCX", "PNG", "PPM", "QOI", "SGI", "SPIDER", "TGA", "TIFF", "WEBP", "XBM"),
)
"""Formats that Pillow writes and reads."""
READ = {"AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP"}
MODES = {"MSP": "1", "XBM": "1", "BLP": "P", "SPIDER": "F"}


def content(form):
    """A small image of a format."""
    noise = random.Random(form).randbytes(40 * 30 * 3)
    image = Image.frombytes("RGB", (40, 30), noise).convert(MODES.get(form, "RGB"))
    file = BytesIO()
    image.save(file, form)
    return file.getvalue()


HEADER = 64
"""Bytes in which most formats state their sizes."""


def flipped(data, place, rng):
    data[place] ^= 1 << rng.randrange(8)


def other_byte(data, place, rng):
    data[place] = rng.randrange(256)


def other_size(data, place, rng):
    length = rng.choice([2, 4])
    most = 256**length - 1
    number = rng.choice([0, 1, most, most // 2, most // 2 + 1, 8000, min(100_000, most)])
    data[place : place + length] = number.to_bytes(length, rng.choice(["big", "little"]))


def repeated(data, place, rng):
    data[place:place] = data[place : place + rng.randrange(200)]


def removed(data, place, rng):
    del data[place : place + rng.randrange(8)]


def cut(data, place, rng):
    del data[rng.choice([0, place, place]) :]


def appended(data, place, rng):
    data += rng.choice([bytes(data), rng.randbytes(200), bytes(200)])


WAYS = (flipped, other_byte, other_size, repeated, removed, cut, appended)


def mutation(data, rng):
    """The same bytes changed in one to four ways, as often in the header as anywhere."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if changed:
            place = rng.randrange(min(len(changed), rng.choice([HEADER, len(changed)])))
            rng.choice(WAYS)(changed, place, rng)
    return bytes(changed)


def test_mutations_are_of_every_kind():
    data, rng = content("PNG"), random.Random(0)
    found = [mutation(data, rng) for _ in range(300)]
    assert b"" in found
    assert any(data.startswith(f) and 0 < len(f) < len(data) for f in found)
    assert any(f.startswith(data) and len(f) > len(data) for f in found)
    changed = [
        [i for i in range(len(data)) if f[i] != data[i]] for f in found if len(f) == len(data)
    ]
    assert any(len(places) == 1 and places[0] < HEADER for places in changed)
    sizes = {f[16:20] for f in found}  # a PNG's width
    assert len(sizes) > 10


def readable(data):
    """Whether an image is read; any error but `BrokenImage` is a failure of the test."""
    try:
        open_upright(BytesIO(data))
    except BrokenImage:
        assert look(BytesIO(data), True) == ((0, 0), "broken_image")
        return False
    return True


@pytest.mark.parametrize("form", SAVED)
def test_only_formats_of_the_list_are_read(form):
    assert readable(content(form)) == (form in READ)


STARTS = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system")


def fuzz(count):
    """Mutations of every format; prints the peak memory, bytes, and what the process started."""
    started = []

    def hook(event, arguments):
        if event.startswith(STARTS):
            started.append((event, arguments))

    sys.addaudithook(hook)
    for form in SAVED:
        rng = random.Random(form)
        data = content(form)
        for _ in range(count):
            readable(mutation(data, rng))
    # not ru_maxrss, which a process takes over from the one that started it
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    print(int(peak[1]) * 1024, started)


def test_mutated_files_end_in_a_counted_problem():
    """In a process of its own, whose memory and starts are seen."""
    code = "import test_untrusted_images as t; t.fuzz(300)"
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    memory, started = done.stdout.split(maxsplit=1)
    assert started.strip() == "[]"
    assert int(memory) < 1e9


def test_no_program_is_started_for_postscript(tmp_path, monkeypatch):
    """Pillow would start Ghostscript, whatever the file is called."""
    gs, mark = tmp_path / "gs", tmp_path / "mark"
    gs.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # whether there is one is asked once
    (tmp_path / "a.jpg").write_text(EPS)
    assert look(tmp_path / "a.jpg", True) == ((0, 0), "broken_image")
    assert not mark.exists()


def test_what_is_no_regular_file_is_broken(tmp_path):
    """A FIFO has no writer, and a terminal or /dev/zero no end."""
    os.mkfifo(tmp_path / "f.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("f.png", "folder.png", "zero.png"):
        assert look(tmp_path / name, True) == ((0, 0), "broken_image"), name
        with pytest.raises(BrokenImage, match="no regular file"):
            open_upright(tmp_path / name)


def test_a_file_over_the_limit_is_not_read(tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.write(content("PNG"))
        file.truncate(MAX_FILE + 1)
    with pytest.raises(BrokenImage, match="256 MiB, over the 256 that are read"):
        open_upright(tmp_path / "large.png")


def png_of(width, height):
    """A grey PNG of zeros: a few hundred bytes a megapixel."""

    def chunk(name, data):
        return (
            struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
        )

    packer = zlib.compressobj()
    row = bytes(width + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_small_file_of_many_pixels_is_an_error(tmp_path):
    side = int(MAX_PIXELS**0.5)
    (tmp_path / "large.png").write_bytes(png_of(side, side + 1))
    for decode in (True, False):
        assert look(tmp_path / "large.png", decode) == ((0, 0), "broken_image")
    with pytest.raises(BrokenImage, match="DecompressionBombError"):
        open_upright(tmp_path / "large.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA", "I", "F", "I;16", "1"])
def test_large_images_are_converted_in_strips(mode, monkeypatch):
    """To the same pixels as at once."""
    noise = Image.frombytes("L", (70, 50), random.Random(mode).randbytes(3500))
    image = noise.convert("I").convert(mode) if mode in ("I;16", "F") else noise.convert(mode)
    whole = to_rgb(image)
    monkeypatch.setattr("sgg.data.pixels._STRIP", 70 * 7)
    assert to_rgb(image).tobytes() == whole.tobytes()


def test_files_outside_the_folders_need_a_yes(tmp_path):
    """By a name that leads out, an absolute one, or a link of the file or a folder."""
    root = tmp_path / "root"
    write_image(root / "in.png")
    write_image(tmp_path / "private" / "a.png")
    (root / "link.png").symlink_to(tmp_path / "private" / "a.png")
    (root / "dir").symlink_to(tmp_path / "private")
    names = ["in.png", "../private/a.png", str(tmp_path / "private/a.png"), "link.png", "dir/a.png"]
    rows = [line(name, BOXES, NEAR, image_id=str(i)) for i, name in enumerate(names)]
    write_lines(root, rows)
    found = prepared(jsonl_config(root), tmp_path)
    assert [row["image_id"] for row in found.rows] == ["0"]
    assert found.report["issues"] == {"outside_folder": 4}
    assert "data.outside=true takes it" in "".join(found.warnings)
    assert len(prepared(jsonl_config(root, outside=True), tmp_path).rows) == 5
    folder = str(tmp_path / "private")
    found = prepared(jsonl_config(root, image_folder=folder), tmp_path)
    assert found.report["issues"] == {"no_image": 3}
