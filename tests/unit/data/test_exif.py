"""EXIF as phones, scanners and editors really write it: never worth an image, and never an error."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from data_files import jsonl_config, line, prepared, write_lines
from PIL import Image, PngImagePlugin, TiffImagePlugin

from sgg.data.bare import bare
from sgg.data.images import look, open_upright

UPRIGHT, STORED = (60, 90), (90, 60)
TURNED = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
BEHIND = struct.pack("<I", 8 + 2 + 12 * 2 + 4)
"""Where data behind two entries lies."""


def exif(*entries, behind=b""):
    """An EXIF block, little endian: (tag, type, count, four bytes of value or place) in the order of tags."""
    body = b"".join(struct.pack("<HHI", *e[:3]) + e[3] for e in sorted(entries))
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return head + body + bytes(4) + behind


def red(form, block=b"", **more):
    """A red image, 90 × 60 as stored, that carries an EXIF block as it is."""
    file = BytesIO()
    Image.new("RGB", STORED, "red").save(file, form, **({"exif": block} if block else {}), **more)
    return file.getvalue()


def seen(data):
    """(size, kinds) of the decoded image; the header must agree, and the pixels must be red."""
    kinds, of_header = set(), set()
    size, problem = look(BytesIO(data), True, kinds.add)
    assert (size, problem) == look(BytesIO(data), False, of_header.add)
    assert problem == ""
    assert kinds == of_header
    image = open_upright(BytesIO(data))
    assert image.size == size
    assert np.abs(np.asarray(image).astype(int) - (255, 0, 0)).max() < 10
    return size, kinds


# ------------------------------------------------------------------------------------- other tags

ODD_TAGS = {
    "resolution as text": ((0x011A, 2, 3, b"72\0\0"), b""),
    "resolution as bytes": ((0x011A, 7, 4, b"\0\0\0H"), b""),
    "resolution as an empty text": ((0x011A, 2, 1, b"\0\0\0\0"), b""),  # Pillow knows no such JPEG
    "resolution over nothing": ((0x011A, 5, 1, BEHIND), struct.pack("<II", 72, 0)),
    "software as a fraction": ((0x0131, 5, 1, BEHIND), struct.pack("<II", 1, 2)),
    "date as a float": ((0x0132, 11, 1, struct.pack("<f", 1.5)), b""),
    "maker as a directory": ((0x010F, 13, 1, struct.pack("<I", 8)), b""),
    "EXIF directory as text": ((0x8769, 2, 4, b"abc\0"), b""),
    "GPS directory far outside": ((0x8825, 4, 1, b"\xff\xff\xff\x7f"), b""),
    "a count that cannot be": ((0x010E, 2, 0xFFFFFFFF, BEHIND), b"x"),
    "a type that is none": ((0x0131, 99, 1, bytes(4)), b""),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "MPO"])
@pytest.mark.parametrize("name", ODD_TAGS)
def test_one_odd_tag_costs_nothing(name, form):
    tag, behind = ODD_TAGS[name]
    size, kinds = seen(red(form, exif(TURNED, tag, behind=behind)))
    assert size == UPRIGHT
    assert "turned" in kinds


ALL_TYPES = range(20)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tag_of_any_type_costs_a_tiff_nothing(compression):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274], tags[270], tags[305], tags[282], tags[296] = 6, "hello", "editor", 72.0, 3
    tags.tagtype[700], tags[700] = 1, b"<x/>    "
    data = bytearray(red("TIFF", tiffinfo=tags, compression=compression))
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    tried = set()
    for place in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, place)
        for kind in ALL_TYPES if tag in (270, 282, 305, 700) else ():
            for values in (1, 3):
                changed = bytearray(data)
                struct.pack_into("<HL", changed, place + 2, kind, values)
                assert look(BytesIO(changed), True) == look(BytesIO(changed), False)
                image = open_upright(BytesIO(changed))
                assert (image.size, image.getpixel((9, 9))) == (UPRIGHT, (255, 0, 0))
                tried.add(tag)
    assert tried == {270, 282, 305, 700}


# ------------------------------------------------------------------------------------ orientation


@pytest.mark.parametrize(
    ("entry", "size", "kinds"),
    [
        ((3, 1, struct.pack("<HH", 6, 0)), UPRIGHT, {"turned"}),
        ((4, 1, struct.pack("<I", 6)), UPRIGHT, {"turned"}),
        ((1, 1, b"\6\0\0\0"), UPRIGHT, {"turned"}),
        ((3, 2, struct.pack("<HH", 8, 1)), UPRIGHT, {"turned"}),  # a list: its first
        ((11, 1, struct.pack("<f", 6.0)), UPRIGHT, {"turned"}),
        ((3, 1, struct.pack("<HH", 3, 0)), STORED, {"turned"}),
        ((3, 1, struct.pack("<HH", 1, 0)), STORED, set()),
        ((3, 1, struct.pack("<HH", 0, 0)), STORED, {"damaged_exif"}),
        ((3, 1, struct.pack("<HH", 9, 0)), STORED, {"damaged_exif"}),
        ((8, 1, struct.pack("<hh", -6, 0)), STORED, {"damaged_exif"}),
        ((2, 2, b"6\0\0\0"), STORED, {"damaged_exif"}),
        ((7, 4, b"abcd"), STORED, {"damaged_exif"}),
        ((11, 1, struct.pack("<f", 6.5)), STORED, {"damaged_exif"}),
        ((11, 1, struct.pack("<f", float("nan"))), STORED, {"damaged_exif"}),
        ((5, 1, b"\xff\xff\xff\xff"), STORED, {"damaged_exif"}),  # its place is outside
        ((3, 0, bytes(4)), STORED, {"damaged_exif"}),
        ((99, 1, bytes(4)), STORED, {"damaged_exif"}),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientations_of_every_type(entry, size, kinds, form):
    assert seen(red(form, exif((0x0112, *entry)))) == (size, kinds)


def test_a_fraction_may_be_an_orientation():
    block = exif(
        (0x0112, 5, 1, BEHIND), (0x0131, 2, 2, b"x\0\0\0"), behind=struct.pack("<II", 12, 2)
    )
    assert seen(red("JPEG", block)) == (UPRIGHT, {"turned"})
    block = block[:-4] + bytes(4)
    assert seen(red("JPEG", block)) == (STORED, {"damaged_exif"})


def test_big_endian_blocks():
    block = b"Exif\0\0MM\0*" + struct.pack(">LHHHLHHL", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    assert seen(red("JPEG", block)) == (UPRIGHT, {"turned"})


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0XX*\0\x08\0\0\0\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"junk",
    ],
)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_blocks_that_are_none(block, form):
    size, kinds = seen(red(form, block))
    assert size == STORED
    assert kinds <= {"damaged_exif"}


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


def test_xmp_counts_where_exif_says_nothing():
    for form in ("JPEG", "WEBP"):
        assert seen(red(form, xmp=(XMP % 8).encode())) == (UPRIGHT, {"turned"})
        block = exif((0x0112, 3, 1, struct.pack("<HH", 1, 0)))
        assert seen(red(form, block, xmp=(XMP % 8).encode())) == (STORED, set())
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP % 6)
    assert seen(red("PNG", pnginfo=text)) == (UPRIGHT, {"turned"})
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[700], tags[700] = 1, (XMP % 6).encode()
    assert seen(red("TIFF", tiffinfo=tags)) == (UPRIGHT, {"turned"})
    assert seen(red("JPEG", xmp=b'<x tiff:Orientation="9"/>')) == (STORED, set())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274] = orientation
    size, kinds = seen(red("TIFF", tiffinfo=tags))
    assert size == (UPRIGHT if orientation > 4 else STORED)
    assert kinds == ({"turned"} if orientation > 1 else set())


def chunk(kind, content):
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">L4s", len(content), kind) + content + struct.pack(">L", checksum)


def hexadecimal(block):
    """EXIF as old ImageMagick puts it into PNG."""
    return b"Raw profile type exif\0\0" + zlib.compress(
        f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    )


@pytest.mark.parametrize("behind_pixels", [False, True])
@pytest.mark.parametrize(
    ("extra", "size", "kinds"),
    [
        (chunk(b"eXIf", exif(TURNED)[6:]), UPRIGHT, {"turned"}),
        (chunk(b"zTXt", hexadecimal(exif(TURNED))), UPRIGHT, {"turned"}),
        (chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits"), STORED, {"damaged_exif"}),
        (chunk(b"tEXt", b"Comment\0hello"), STORED, set()),
    ],
)
def test_a_png_may_say_it_before_or_behind_its_pixels(extra, size, kinds, behind_pixels):
    data = red("PNG")
    place = data.index(b"IEND" if behind_pixels else b"IDAT") - 4
    assert seen(data[:place] + extra + data[place:]) == (size, kinds)


# ------------------------------------------------------------------------------------------ damage


def damaged(rng, block):
    """A block after a few changes of the kinds that disks, cables and editors make."""
    block = bytearray(block)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        place, length = rng.randrange(6, len(block)), rng.randrange(1, 9)
        if rng.random() < 0.6:
            block[place] = rng.choice([0, 255, *range(13), rng.randrange(256)])
        elif rng.random() < 0.4:
            del block[place:]
        elif rng.random() < 0.5:
            block[place:place] = rng.randbytes(length)
        else:
            del block[place : place + length]
        if len(block) < 10:
            break
    return bytes(block)


def rich_block():
    block = Image.Exif()
    block[0x0112], block[0x010E], block[0x0131], block[0x011A] = 6, "hello world", "editor", 72.0
    block[0x0128], block[0x0132] = 2, "2020:01:01 00:00:00"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "MPO"])
def test_damaged_blocks_never_cost_the_pixels(form):
    found = []
    for seed in range(150):
        block = damaged(random.Random(seed), rich_block())
        size, kinds = seen(red(form, block))
        found.append((size, *sorted(kinds)))
    assert (UPRIGHT, "turned") in found
    assert (STORED, "damaged_exif") in found


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_bytes_that_flip_in_the_file_never_cost_the_pixels(form):
    """As above, within the finished file: the checksum of a PNG no longer fits, AVIF is read by Pillow."""
    whole = red(form, rich_block())
    header = b"II*\0" if b"II*\0" in whole else b"MM\0*"
    start, found = whole.index(header), []
    for seed in range(60):
        rng, data = random.Random(seed), bytearray(whole)
        for _ in range(rng.choice([1, 2, 8])):
            data[start + rng.randrange(100)] = rng.randrange(256)
        found.append(seen(bytes(data)))
    assert any("damaged_exif" in kinds for _, kinds in found)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pixels_that_are_broken_stay_broken(form):
    """Taking the metadata out mends no pixel."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, form, exif=exif(TURNED))
    data = file.getvalue()
    assert look(BytesIO(data), True) == (UPRIGHT, "")
    assert look(BytesIO(data[: len(data) // 2]), True) == ((0, 0), "broken_image")


def test_nothing_but_metadata_is_taken_out():
    """Each format's bare file has the same pixels and no EXIF; other formats are left as they are."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF"):
        file = BytesIO()
        Image.fromarray(noise).save(file, form, exif=exif((0x0131, 2, 4, b"abc\0")))
        data, notes = bare(file.getvalue())
        image = Image.open(BytesIO(data))
        assert 0x0131 not in image.getexif()
        np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(file)), form)
        assert (data == file.getvalue()) == (form == "GIF")
        assert set(notes) == ({"exif"} if form in ("JPEG", "PNG", "WEBP") else set())


@pytest.mark.parametrize(
    "mark", [b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFFabcdWEBP", b"II*\0", b"MM\0*", b"abcdftyp"]
)
def test_no_bytes_are_a_crash(mark):
    rng = random.Random(0)
    for _ in range(300):
        data = mark + rng.randbytes(rng.randrange(200))
        assert len(bare(data)[0]) <= len(data) + 8
        assert look(BytesIO(data), True)[1] == "broken_image"


# ------------------------------------------------------------------------------------------ report


def test_turned_images_are_counted_and_their_stored_size_is_named(tmp_path):
    for name, block in (("a", b""), ("b", exif(TURNED)), ("c", exif(TURNED)), ("d", b"Exif\0\0II")):
        (tmp_path / f"{name}.jpg").write_bytes(red("JPEG", block))
    boxes = {"man.1": [1, 1, 50, 50]}
    sizes = {"a": STORED, "b": UPRIGHT, "c": STORED, "d": STORED}
    write_lines(tmp_path, [line(f"{n}.jpg", boxes, size=size) for n, size in sizes.items()])
    result = prepared(jsonl_config(tmp_path), tmp_path)
    assert result.rows["image_id"] == ["a", "b", "d"]
    assert result.report["issues"] == {"turned": 1, "size_before_turn": 1, "damaged_exif": 1}
    assert result.report["shown"] == {
        "turned": ["b"],
        "size_before_turn": ["c"],
        "damaged_exif": ["d"],
    }
