"""The lenient reader alone: what it makes of words and numbers, where it stops, and its limits."""

from __future__ import annotations

import math

import pytest

from sgg.text.lenient_json import Syntax, read_json, values


def test_words_numbers_and_texts():
    text = '{"a": [true, false, null, 7, -2.5e1, .5, "x\\ny", "\\q"], "b": {"c": 1,}}'
    content, end, problems = read_json(text, 0)
    assert content == {"a": [True, False, None, 7.0, -25.0, 0.5, "x\ny", "\\q"], "b": {"c": 1.0}}
    assert [type(value) for value in content["a"][:4]] == [bool, bool, type(None), float]
    assert (end, problems) == (len(text), [Syntax.trailing_comma])
    (value,) = read_json('{"a": NaN}', 0)[0].values()
    assert math.isnan(value)


def test_reading_begins_and_ends_at_the_object():
    assert read_json('x {"a": 1} y', 2) == ({"a": 1.0}, 10, [])


@pytest.mark.parametrize(("depth", "problems"), [(32, []), (33, [Syntax.malformed])])
def test_containers_are_read_up_to_32_deep(depth, problems):
    text = '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    assert read_json(text, 0)[2] == problems


@pytest.mark.parametrize(
    ("end", "problems"), [("]}", []), (",]}", [Syntax.malformed]), (",1]}", [Syntax.malformed])]
)
def test_fewer_than_8192_tokens_are_read_one_by_one(end, problems):
    """Four to open, 4,093 numbers with commas between, two to close: 8,191."""
    text = '{"a":[' + "1," * 4092 + "1" + end
    content, _, found = read_json(text, 0)
    assert found == problems
    assert len(content["a"]) == 4093 + end.count("1")


def test_whole_items_of_the_lists_are_free():
    """5,000 objects have 30,000 tokens; one whose key comes again, and one with an error, are read too."""
    items = ['{"b": 1}'] * 5000
    items[2500], items[4000] = '{"b": 1, "b": 2}', '{"b": .5}'
    content, _, problems = read_json('{"a": [' + ", ".join(items) + ",]}", 0)
    assert problems == [Syntax.trailing_comma]
    assert [item["b"] for item in content["a"]] == [1] * 2500 + [2] + [1] * 1499 + [0.5] + [1] * 999
    assert values(content["a"][2500], "b") == [1, 2]


@pytest.mark.parametrize(
    ("text", "content", "problem"),
    [
        ('{"a": [1, 2', {"a": [1.0, 2.0]}, Syntax.truncated),
        ('{"a": [1, 2 3', {"a": [1.0, 2.0]}, Syntax.malformed),
        ('{"a": [{"b": 1}, {"c": 2', {"a": [{"b": 1.0}]}, Syntax.truncated),
        ('{"a": [[1], [2', {"a": [[1.0]]}, Syntax.truncated),
        ('{"a": {"b": [1], "c": [2', {"a": {"b": [1.0]}}, Syntax.truncated),
        ("{", {}, Syntax.truncated),
        ("", None, Syntax.truncated),
        ("?", None, Syntax.malformed),
    ],
)
def test_what_does_not_end_keeps_whole_items_alone(text, content, problem):
    found, _, problems = read_json(text, 0)
    assert (found, problems) == (content, [problem])
