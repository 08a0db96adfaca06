"""Failures are counted over every image, by kind and by item."""

from __future__ import annotations

from strategies import PX, answer

from sgg.codec import parse
from sgg.metric.failure import failure_rate, problem_counts

GOOD = parse(answer([("man.1", [0, 0, 9, 9])]), PX, 10, 10)
FLAWED = parse(answer([("man.1", [0, 0, 9, 9]), ("a.2", [1]), ("b.3", [1])]), PX, 10, 10)
"""Two bad boxes, no failure."""
CUT = parse('{"objects": [{"id": "man.1", "bbox": [1]}, {"id"', PX, 10, 10)
"""truncated, a bad box, and empty for it."""
NONE = parse("nothing", PX, 10, 10)


def test_failure_rate_is_over_all_answers_missing_ones_included():
    """CUT, NONE and the missing one of five."""
    assert failure_rate([GOOD, FLAWED, CUT, NONE, None]) == 3 / 5
    assert failure_rate([GOOD, FLAWED]) == 0
    assert failure_rate([None]) == 1
    assert failure_rate([]) == 0


def test_problem_counts_tell_answers_from_items_in_a_fixed_order():
    found = problem_counts([FLAWED, None, CUT, NONE, None, GOOD])
    assert found == {
        "no_answer": {"answers": 2, "items": 2},
        "no_json": {"answers": 1, "items": 1},
        "truncated": {"answers": 1, "items": 1},
        "empty": {"answers": 1, "items": 1},
        "bad_box": {"answers": 2, "items": 3},
    }
    assert list(found) == ["no_answer", "no_json", "truncated", "empty", "bad_box"]
    assert problem_counts([GOOD]) == {}
