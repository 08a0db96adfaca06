"""Terms about the form of a completion: how it is written, not what it says."""

from __future__ import annotations

import re

from sgg.reward.case import ScoredCompletion
from sgg.text.codec import FAILURES, ErrorKind

_NOT_FORM = frozenset({ErrorKind.unknown_class, ErrorKind.unknown_predicate})
"""Problems of content, not of form."""
_THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL | re.IGNORECASE)


def _sound(case: ScoredCompletion) -> bool:
    """At least one object, and nothing wrong with any item."""
    return bool(case.pred.nodes) and all(p.kind in _NOT_FORM for p in case.parsed.problems)


def format(case: ScoredCompletion) -> float:
    """1 if the completion has the form that the prompt asks for, else 0 (R1-SGG, arXiv 2504.13617).

    The form: think and answer tags where the prompt wants them, one graph in valid JSON, at least one
    object, every box four numbers that make a box in the image, every id a class name, a dot and a number
    that is used once, every relation between declared objects. The reference gives 1 to the empty graph
    only.
    """
    return float(case.parsed.tags_as_asked and _sound(case))


def format_graded(case: ScoredCompletion) -> float:
    """How far the completion came, in quarters: a slope where `format` is a cliff.

    0: no JSON with a graph. 1/4: JSON, but cut short, malformed or without a usable object.
    2/4: whole JSON with objects, some item wrong or several graphs. 3/4: every item sound, tags missing.
    1: as `format`. A completion whose only fault is one relation to an undeclared object: 0.5.
    """
    if case.parsed.failure is not None:
        kinds = {problem.kind for problem in case.parsed.problems}
        return 0.0 if ErrorKind.no_json in kinds else 0.25
    if not _sound(case):
        return 0.5
    return 1.0 if case.parsed.tags_as_asked else 0.75


def reasoning(case: ScoredCompletion, *, min_words: int = 1) -> float:
    """1 if the completion opens with a closed thought of at least `min_words` words, else 0.

    Models trained on graph rewards stop writing thoughts (R1-SGG); this term pays for them.
    `<think></think>` earns 0, `<think>A man rides.</think>` 1.
    """
    found = _THOUGHT.match(case.text.lstrip())
    return float(found is not None and len(found[1].split()) >= min_words)


def length(case: ScoredCompletion, *, free_chars: int = 4096, limit_chars: int = 8192) -> float:
    """1 up to `free_chars` characters, 0 from `limit_chars` on, a straight line between.

    The shape of DAPO's soft punishment of overlong completions (arXiv 2503.14476), in characters and from 1
    to 0. 6,144 characters under the defaults: 0.5.
    """
    over = len(case.text) - free_chars
    return 1.0 - min(max(over / max(limit_chars - free_chars, 1), 0.0), 1.0)


def answered(case: ScoredCompletion) -> float:
    """1 if the completion is no failure: JSON, not cut or malformed, with a usable object. A soft gate.

    A completion with one bad box among five: 1; the empty graph: 0.
    """
    return float(not any(p.kind in FAILURES for p in case.parsed.problems))
