"""Chains of errors, and words that are close to each other."""

from itertools import pairwise

from sgg.errors import behind, did_you_mean


def chained(*errors):
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def test_what_led_to_an_error_is_the_nearest_first():
    first, second, third = ValueError("a"), KeyError("b"), OSError("c")
    second.__context__ = third
    assert list(behind(chained(first, second))) == [second, third]
    assert list(behind(third)) == []


def test_an_error_that_leads_back_to_itself_has_an_end():
    """Hydra keeps and raises errors again: their chains may close."""
    first, second, third = ValueError("a"), KeyError("b"), OSError("c")
    assert list(behind(chained(first, second, third, first))) == [second, third]
    assert list(behind(chained(first, second, third, second))) == [second, third]


def test_the_nearest_word():
    assert did_you_mean("hardwares", ["hardware", "data"]) == " Did you mean 'hardware'?"
    assert did_you_mean("x", ["hardware"]) == ""
