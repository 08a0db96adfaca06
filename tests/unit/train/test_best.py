"""Which evaluation is the best, when patience is lost, and that a record read again decides the same."""

import json

import pytest

from sgg.train.best import Record


def record(values, metric="R"):
    found = Record(metric)
    for step, value in values.items():
        found.add(step, {"eval/step": step, f"eval/{metric}": value})
    return found


@pytest.mark.parametrize(
    ("metric", "values", "best", "without_gain"),
    [
        ("R", {}, None, 0),
        ("R", {0: 0.9}, None, 0),
        ("R", {0: 0.9, 5: 0.1}, 5, 0),
        ("R", {0: 0.0, 5: 0.1, 10: 0.3, 15: 0.2}, 10, 1),
        ("R", {5: 0.3, 10: 0.3, 15: 0.3}, 5, 2),
        ("failure_rate", {0: 0.0, 5: 0.4, 10: 0.2, 15: 0.3}, 10, 1),
        ("R", {5: "nan", 10: 0.0, 15: "nan"}, 10, 0),
        ("R", {5: "nan"}, None, 0),
    ],
)
def test_the_best_is_the_first_of_the_best_values_after_the_start(
    metric, values, best, without_gain
):
    found = record(values, metric)
    assert (found.best, found.without_gain()) == (best, without_gain)


@pytest.mark.parametrize(
    ("values", "better"),
    [({0: 0.5, 5: 0.4}, True), ({0: 0.4, 5: 0.4}, False), ({5: 0.4}, False), ({0: 0.5}, False)],
)
def test_it_is_told_where_the_start_was_better(values, better):
    assert record(values).start_is_better() is better


def test_without_a_metric_there_is_no_best():
    found = Record()
    found.add(5, {"eval/step": 5, "eval/R": 0.5})
    assert (found.best, found.without_gain(), [*found.values]) == (None, 0, [5])


def test_what_is_read_again_is_what_was_added(tmp_path):
    rows = [
        {"step": 0, "eval/step": 0, "eval/R": 0.1, "eval/mR": 0.0},
        {"step": 1, "loss": 3.0},
        {"step": 2, "eval/step": 2, "eval/R": "nan"},
        {"step": 2, "loss": 2.0},
        {"step": 4, "eval/step": 4, "eval/R": 0.4},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = Record.read(tmp_path, "R")
    assert [*found.values] == [0, 2, 4]
    assert found.best == 4
