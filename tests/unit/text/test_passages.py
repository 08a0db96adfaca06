"""Where the graph stands: the quick ways and the general one lay a text out alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgg.text import passages
from sgg.text.passages import Layout, Passage, find_passages

FORM = "<think>so</think> <answer>it</answer> bye"
BITS = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<ANSWER>", "<", "x", " "])


@given(st.lists(BITS, max_size=8), st.booleans())
def test_every_text_is_laid_out_alike_by_either_way(bits, reasoning):
    text = "".join(bits)
    assert find_passages(text, reasoning) == passages._any_layout(text, reasoning)


@pytest.mark.parametrize(
    "text", ["", "x", " <", FORM, FORM[:-4], "<think></think><answer></answer>"]
)
@pytest.mark.parametrize("reasoning", [False, True])
def test_these_texts_are_laid_out_alike_by_either_way(text, reasoning):
    assert find_passages(text, reasoning) == passages._any_layout(text, reasoning)


def test_texts_without_tags_and_of_the_form_take_a_quick_way(monkeypatch):
    monkeypatch.setattr(passages, "_any_layout", lambda *_: pytest.fail("the general way"))
    assert find_passages("plain", False) == Layout([[Passage(0, 5)]], False, False)
    assert find_passages("", True) == Layout([[Passage(0, 0)]], False, False)
    # <think>so</think> is 17 long, the answer tag and a blank 9 more
    inside, after = Passage(26, 28, True), Passage(17, len(FORM))
    assert find_passages(FORM, True) == Layout([[inside], [after]], True, False)
    assert find_passages(f" {FORM}", False).passages[0] == [Passage(27, 29, True)]


@pytest.mark.parametrize(
    ("text", "reasoning", "expected"),
    [
        ("b<think>a", True, Layout([[Passage(0, 1)]], False, True)),
        ("<think>a", False, Layout([[Passage(0, 8)]], False, False)),
        ("a</think>b", True, Layout([[Passage(9, 10)], [Passage(0, 10)]], False, False)),
        (
            "<answer>a<answer>b",
            True,
            Layout([[Passage(8, 9), Passage(17, 18)], [Passage(0, 18)]], False, False),
        ),
        (
            "<answer>a</answer></think>b",
            True,
            Layout([[Passage(26, 27)], [Passage(8, 9)], [Passage(0, 27)]], False, False),
        ),
        (
            "<answer>a</answer><think>b",
            True,
            Layout([[Passage(8, 9, True)], [Passage(0, 18)]], False, True),
        ),
        (
            "<think>a<answer>b</answer>",
            True,
            Layout([[Passage(16, 17, True)], [Passage(0, 0)]], False, True),
        ),
    ],
)
def test_layouts_by_hand(text, reasoning, expected):
    assert find_passages(text, reasoning) == expected
