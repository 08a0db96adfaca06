"""Curves in bounded memory, against means by hand."""

import pytest

from sgg.watch.series import Series, sparkline


def series(values):
    made = Series()
    for value in values:
        made.add(value)
    return made


def test_first_and_last_value():
    made = series([3.0, 1.0, 2.0])
    assert (made.first, made.last) == (3.0, 2.0)
    assert Series().first is None


def test_means_of_equal_stretches():
    assert series([1, 2, 3, 4, 5]).means(5) == [1, 2, 3, 4, 5]
    assert series([1, 2, 3, 4, 5]).means(3) == [1.5, 3.5, 5]
    assert series([]).means(10) == []


def test_a_long_curve_keeps_its_shape_in_bounded_memory():
    made = series(range(10_000))
    means = made.means(40)
    assert len(made._means) < 512
    assert 30 < len(means) <= 40
    assert means == sorted(means)
    assert means[0] == pytest.approx(10_000 / len(means) / 2, rel=0.3)
    assert (made.first, made.last) == (0, 9999)


def test_what_is_not_finite_is_named_and_not_drawn():
    made = series([1.0, "nan", float("inf"), 3.0])
    assert made.means(9) == [1.0, 3.0]
    made.add("nan")
    assert made.last == "nan"
    made.add(float("inf"))
    assert made.last == "inf"


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([5.0], "▄"),
        ([0.2, 0.2], "▄▄"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([1, 0], "█▁"),
        ([-1e308, 1e308], "▄▄"),  # farther apart than a number can be
    ],
)
def test_blocks_by_hand(values, drawn):
    assert sparkline(values) == drawn
