"""Charts: which numbers are drawn, where the points lie, what the running mean is."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgg.report.charts import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, chart, charts, running_mean


def name_of(figure):
    return ElementTree.fromstring(figure).find("figcaption").text


def lines(figure):
    """Both polylines as lists of (x, y): raw, smooth."""
    drawn = ElementTree.fromstring(figure).iter("polyline")
    points = [line.get("points").split() for line in drawn]
    return [[tuple(map(float, p.split(","))) for p in line] for line in points]


def test_points_span_the_plot_from_corner_to_corner():
    """Steps 10, 20, 30 with 1, 3, 2: left edge at the floor, middle at the top, right half way."""
    right, floor = WIDTH - 8, HEIGHT - BOTTOM
    figure = chart("loss", [(10, 1), (20, 3), (30, 2)])
    raw, smooth = lines(figure)
    assert raw == [(LEFT, floor), ((LEFT + right) / 2, TOP), (right, (TOP + floor) / 2)]
    assert smooth == raw
    texts = [t.text for t in ElementTree.fromstring(figure).iter("text")]
    assert texts == ["3", "1", "10", "30"]


@pytest.mark.parametrize("points", [[(5, 2.0)], [(5, 2.0), (6, 2.0)], [(0, 1.0), (0, 2.0)]])
def test_single_flat_and_steep_curves_stay_inside_the_frame(points):
    for line in lines(chart("x", points)):
        assert all(LEFT <= x <= WIDTH and TOP <= y <= HEIGHT - BOTTOM for x, y in line)


def test_names_are_escaped():
    figure = chart("a<b> & 'c'", [(1, 1), (2, 2)])
    assert name_of(figure) == "a<b> & 'c'"


def test_the_telling_numbers_come_first_and_bookkeeping_is_left_out():
    names = [
        "zeta",
        "entropy",
        "reward/x/mean",
        "completion/failed",
        "completion/a",
        "loss",
        "reward/total/mean",
    ]
    names += ["epoch", "tokens", "loss_mean", "speed/step_s", "clip_ratio/low", "grad_norm"]
    rows = [{"step": step, **dict.fromkeys(names, step * 0.5)} for step in (1, 2)]
    assert [name_of(f) for f in charts(rows)] == [
        "loss",
        "reward/total/mean",
        "reward/x/mean",
        "completion/failed",
        "completion/a",
        "entropy",
        "grad_norm",
        "zeta",
    ]


def test_only_numbers_that_vary_are_drawn_from_the_rows_that_have_them():
    rows = [
        {"step": 1, "loss": 3.0, "flat": 1.0, "once": 7.0},
        {"step": 2, "flat": 1.0},
        {"step": 4, "loss": 1.0, "flat": 1.0},
    ]
    (figure,) = charts(rows)
    assert name_of(figure) == "loss"
    assert [x for x, _ in lines(figure)[0]] == [LEFT, WIDTH - 8]
    assert charts([]) == []


@given(st.lists(st.floats(-100, 100), max_size=90))
def test_running_mean_is_the_mean_of_the_last_twentieth(values):
    """Window: a twentieth of the points, at least one; shorter at the start."""
    window = max(1, len(values) // 20)
    expected = [
        sum(values[max(0, i + 1 - window) : i + 1]) / len(values[max(0, i + 1 - window) : i + 1])
        for i in range(len(values))
    ]
    assert running_mean(values) == pytest.approx(expected, abs=1e-9)


def test_running_mean_by_hand():
    """40 points: windows of two."""
    assert running_mean([4, 2] * 20)[:4] == [4, 3, 3, 3]
    assert running_mean([5, 1, 3]) == [5, 1, 3]
