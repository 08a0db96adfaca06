"""Where in a completion the graph stands: after the thought, and between answer tags if there are any.

Input: a completion's text. Output: its passages, the likeliest first. Tags count in any case. What the
passages hold is `sgg.text.documents`' business.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TAG = re.compile(r"<(?:think|/think|answer|/answer)>", re.IGNORECASE)


class Passage(NamedTuple):
    """A part of a text, `text[start:end]`."""

    start: int
    end: int
    tagged: bool = False
    """Whether it stands between a pair of answer tags, after any thought."""


class Layout(NamedTuple):
    """How a completion is laid out."""

    passages: list[list[Passage]]
    """Places to look for the graph: those of the first entry that holds any graph."""
    thought: bool
    """Whether a thought stands before the graph, with both of its tags."""
    cut: bool
    """Whether the text ends inside a thought that was asked for."""


def find_passages(text: str, reasoning: bool) -> Layout:
    """The layout of a text, where `reasoning` says that a thought and answer tags were asked for.

    The graph follows the last closed thought, whose opening tag a prompt may have written; what answer
    tags hold comes before what stands outside of them. A thought that closes after the graph hides
    nothing, unless answer tags follow it. In a thought that was asked for and never closes, answer tags
    count, but nothing else does.
    """
    first = text.find("<")
    if first == -1:
        return Layout([[Passage(0, len(text))]], False, False)
    second = text.find("<", first + 1)
    third = text.find("<", second + 1)
    fourth = text.find("<", third + 1)
    if (
        text.startswith("<answer>", third)
        and text.startswith("</answer>", fourth)
        and text.startswith("</think>", second)
        and text.startswith("<think>", first)
        and text.find("<", fourth + 1) == -1
    ):  # the form that is asked for, which nearly every completion has; what follows reads it alike
        inside = Passage(third + len("<answer>"), fourth, True)
        return Layout([[inside], [Passage(second + len("</think>"), len(text))]], True, False)
    return _any_layout(text, reasoning)


def _any_layout(text: str, reasoning: bool) -> Layout:
    tags = [(tag[0].lower(), tag.start(), tag.end()) for tag in _TAG.finditer(text)]
    names = [name for name, _, _ in tags]
    closed = len(names) - names[::-1].index("</think>") if "</think>" in names else 0
    start = tags[closed - 1][2] if closed else 0
    after = names[closed:]
    cut = reasoning and "<think>" in after
    end = tags[closed + after.index("<think>")][1] if cut else len(text)
    passages = [_answers(tags[closed:], len(text)), [Passage(start, end)]]
    if closed and not cut and "<answer>" not in after:
        inside = [found._replace(tagged=False) for found in _answers(tags, len(text))]
        passages += [inside, [Passage(0, len(text))]]
    return Layout([found for found in passages if found], "<think>" in names[:closed], cut)


def _answers(tags: list[tuple[str, int, int]], length: int) -> list[Passage]:
    """What answer tags hold; one that does not close ends where the next one opens, or with the text."""
    found: list[Passage] = []
    opened: int | None = None
    for name, start, end in tags:
        if opened is not None and name in ("<answer>", "</answer>"):
            found.append(Passage(opened, start, name == "</answer>"))
            opened = None
        if name == "<answer>":
            opened = end
    if opened is not None:
        found.append(Passage(opened, length))
    return found
