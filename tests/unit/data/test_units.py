"""In which unit a set's boxes are: told where it can be told, and nothing said where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from data_files import jsonl_config, line, prepared, write_lines

from sgg.config.data import BoxFormat, ImageSource

PAINTED = {"image_source": ImageSource.painted}


def boxes_of(rng, count, width, height):
    """Boxes as they lie in photographs: of any size, at any place."""
    corners = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 4)
    grown = np.clip(corners + np.array([-0.02, -0.02, 0.02, 0.02]), 0, 1)
    return grown * [width, height, width, height]


def reports(folder, sizes, unit=None, count=4, seed=0, with_size=False):
    """(issues, warnings) of one image for each size, with boxes in pixels or in a `unit` of the sides."""
    rng, rows = np.random.default_rng(seed), []
    for i, (width, height) in enumerate(sizes):
        boxes = boxes_of(rng, count, *((unit, unit) if unit else (width, height)))
        if with_size:
            boxes[:, 2:] -= boxes[:, :2]
        objects = {f"man.{k}": box.round(1).tolist() for k, box in enumerate(boxes)}
        rows.append(line(f"{i}.jpg", objects, size=(width, height)))
    box_format = BoxFormat.xywh if with_size else BoxFormat.xyxy
    data = jsonl_config(write_lines(folder, rows), box_format=box_format, **PAINTED)
    result = prepared(data, folder)
    return result.report["issues"], result.warnings


PHOTOS = [(640, 480), (500, 375), (480, 640), (1024, 768)] * 3
LARGE = [(4000, 3000), (3024, 4032), (1920, 1600)] * 3


@pytest.mark.parametrize("with_size", [False, True])
@pytest.mark.parametrize(
    ("sizes", "unit", "kind"),
    [
        (PHOTOS, 100, "percent_boxes"),
        (LARGE, 100, "percent_boxes"),
        (LARGE, 1000, "thousandth_boxes"),
        (PHOTOS, 1000, "thousandth_boxes"),  # those of 640 × 480 pass its edges and stop at 1000
        ([*PHOTOS, *LARGE], 1000, "thousandth_boxes"),
    ],
)
def test_units_of_the_sides_are_told(tmp_path, sizes, unit, kind, with_size):
    issues, warnings = reports(tmp_path, sizes, unit, with_size=with_size)
    assert issues[kind] >= 20
    assert not {"percent_boxes", "thousandth_boxes"} - {kind} & set(issues)
    assert any(w.startswith(f"data.eval: {kind}: ") and f"/ {unit}" in w for w in warnings)


@pytest.mark.parametrize("with_size", [False, True])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "sizes",
    [
        PHOTOS,
        LARGE,
        [(100, 100)] * 12,
        [(112, 112)] * 12,
        [(1000, 1000)] * 12,
        [(1200, 1000)] * 12,
        [(64, 64), (90, 60)] * 6,
        [(300, 200)] * 12,
    ],
)
def test_pixels_are_never_suspected(tmp_path, sizes, seed, with_size):
    issues, _ = reports(tmp_path, sizes, seed=seed, with_size=with_size)
    assert not {"percent_boxes", "thousandth_boxes", "relative_box"} & set(issues)


def test_a_few_boxes_tell_nothing(tmp_path):
    """Of one image nobody can say whether 100 is a percentage."""
    issues, _ = reports(tmp_path, [(640, 480)], 100)
    assert "percent_boxes" not in issues


def test_a_stray_box_hides_nothing(tmp_path):
    rows = []
    for i in range(60):
        boxes = {"man.1": [5, 5, 60, 90.5], "dog.2": [20, 30, 95.5, 80]}
        rows.append(line(f"{i}.jpg", boxes, size=(640, 480)))
    rows.append(line("stray.jpg", {"man.1": [5, 5, 600, 400]}, size=(640, 480)))
    data = jsonl_config(write_lines(tmp_path, rows), **PAINTED)
    assert prepared(data, tmp_path).report["issues"] == {"percent_boxes": 121}
