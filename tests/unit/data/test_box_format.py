"""What four numbers mean: to corners, and the rule that suspects the other format."""

from __future__ import annotations

import random

import pytest
from data_files import jsonl_config, line, prepared, raw, write_lines
from hypothesis import given
from hypothesis import strategies as st

from sgg.config.data import BoxFormat, ImageSource
from sgg.data.box_format import ENOUGH, fits, suspicion, to_corners
from sgg.data.clean import Policy, Report, clean

W, H = 640, 480


@pytest.mark.parametrize(
    ("box_format", "box"),
    [
        ("xyxy", (64, 48, 192, 240)),
        ("xywh", (64, 48, 128, 192)),
        ("xyxy_norm", (0.1, 0.1, 0.3, 0.5)),
        ("xywh_norm", (0.1, 0.1, 0.2, 0.4)),
    ],
)
def test_each_format_says_the_same_box(box_format, box):
    corners = to_corners(box, BoxFormat[box_format], W, H)
    assert corners == pytest.approx((64, 48, 192, 240))
    example = raw([("man.1", "man", box)], size=(W, H))
    graph = clean(example, Policy(box_format=BoxFormat[box_format]), Report())
    assert graph.nodes[0].box == pytest.approx((64, 48, 192, 240))


@pytest.mark.parametrize("box", [(), (1, 2, 3), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("box_format", BoxFormat)
def test_what_is_no_box_stays_what_it_is(box, box_format):
    assert to_corners(box, box_format, W, H) == box
    assert fits([box], box_format, W, H)["boxes"] == 0


def corners_of_a_set(count, seed=0):
    """Boxes that lie anywhere in the image, as corners."""
    rng = random.Random(seed)
    for _ in range(count):
        x1, x2 = sorted(rng.sample(range(W + 1), 2))
        y1, y2 = sorted(rng.sample(range(H + 1), 2))
        yield x1, y1, x2, y2


def written(corners, box_format):
    """Corners in pixels as a format writes them."""
    x1, y1, x2, y2 = corners
    if box_format.is_normalised:
        x1, y1, x2, y2 = x1 / W, y1 / H, x2 / W, y2 / H
    return (x1, y1, x2 - x1, y2 - y1) if box_format.has_size else (x1, y1, x2, y2)


def suspected(boxes, read_as):
    return suspicion(fits(boxes, read_as, W, H), read_as)


@pytest.mark.parametrize("is_normalised", [False, True])
@pytest.mark.parametrize("read_as_size", [False, True])
@pytest.mark.parametrize("written_as_size", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_twelve_boxes_are_enough(seed, written_as_size, read_as_size, is_normalised):
    def format_of(has_size):
        return next(
            f for f in BoxFormat if (f.has_size, f.is_normalised) == (has_size, is_normalised)
        )

    real, read_as = format_of(written_as_size), format_of(read_as_size)
    boxes = [written(c, real) for c in corners_of_a_set(12, seed)]
    sentence = suspected(boxes, read_as)
    if real is read_as:
        assert sentence == ""
    else:
        assert f"data.box_format={real.name}." in sentence


def sound_either_way(count, seed=0):
    """Corners that are inside the image, and so are the same numbers as x, y, width, height."""
    rng = random.Random(seed)
    for _ in range(count):
        x, y = rng.randrange(1, W // 3), rng.randrange(1, H // 3)
        yield x, y, rng.randrange(x + 1, W - x), rng.randrange(y + 1, H - y)


def test_boxes_that_are_sound_either_way_are_suspected_from_twelve_on():
    boxes = list(sound_either_way(ENOUGH))
    assert fits(boxes, BoxFormat.xyxy, W, H) == {"boxes": 12, "as_read": 12, "otherwise": 12}
    assert suspected(boxes, BoxFormat.xyxy) == (
        "The boxes look like xywh (x, y, width, height): read so, 12 of 12 lie in their image; as "
        "xyxy (x1, y1, x2, y2), 12 do, all centred in its upper left quarter. If they are, set "
        "data.box_format=xywh."
    )
    assert suspected(boxes[:-1], BoxFormat.xyxy) == ""
    assert suspected(boxes, BoxFormat.xywh) == ""  # width and height may be anything


def test_one_box_in_twenty_may_be_wrong():
    boxes = [written(c, BoxFormat.xywh) for c in corners_of_a_set(38)]
    wrong = [(600, 10, 100, 100), (10, 400, 100, 100)]
    assert suspected(boxes + wrong, BoxFormat.xyxy)
    assert not suspected(boxes + wrong + [(600, 10, 120, 100)], BoxFormat.xyxy)


def test_two_boxes_say_nothing():
    boxes = [(100, 100, 50, 50)] * 3
    assert suspected(boxes, BoxFormat.xyxy)
    assert not suspected(boxes[:2], BoxFormat.xyxy)


def test_numbers_of_a_pixel_or_less_say_nothing():
    """Shares of the sides that were taken for pixels are another fault."""
    assert fits([(0.1, 0.1, 0.5, 0.5)] * 20, BoxFormat.xyxy, W, H)["boxes"] == 0


@given(
    st.lists(
        st.tuples(*[st.floats(-1e9, 1e9, allow_nan=False) for _ in range(4)]) | st.just(()),
        max_size=30,
    ),
    st.sampled_from(BoxFormat),
)
def test_any_numbers_are_counted(boxes, box_format):
    counts = fits(boxes, box_format, W, H)
    assert 0 <= counts["as_read"] <= counts["boxes"] <= len(boxes)
    assert 0 <= counts["otherwise"] <= counts["boxes"]
    assert isinstance(suspicion(counts, box_format), str)


def folder_in(root, box_format, count=6):
    """Images of two objects and a relation each, boxes as a format writes them."""
    rows, boxes = [], list(corners_of_a_set(2 * count))
    for i in range(count):
        objects = {f"man.{j}": written(boxes[2 * i + j - 1], box_format) for j in (1, 2)}
        rows.append(line(f"{i}.png", objects, [("man.1", "near", "man.2")], size=(W, H)))
    return write_lines(root, rows)


@pytest.mark.parametrize("box_format", BoxFormat)
def test_the_key_reads_them(tmp_path, box_format):
    values = {"image_source": ImageSource.painted}
    plain = prepared(
        jsonl_config(folder_in(tmp_path / "plain", BoxFormat.xyxy), **values), tmp_path
    )
    root = folder_in(tmp_path / "set", box_format)
    read = prepared(jsonl_config(root, box_format=box_format, **values), tmp_path)
    assert read.warnings == ()
    assert read.report["issues"] == {}
    for index in range(6):
        expected, got = plain.gold(index)["graph"], read.gold(index)["graph"]
        assert got.boxes_xyxy == pytest.approx(expected.boxes_xyxy)
        assert got.edges == expected.edges
