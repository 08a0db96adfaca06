"""How often, and how, answers fail: over all images of the split, not over those that parsed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sgg.codec import ErrorKind, Parsed


def failure_rate(answers: Sequence[Parsed | None]) -> float:
    """Share of answers that are failures as a whole; a missing answer (None) is one."""
    failed = sum(a is None or a.failure is not None for a in answers)
    return failed / len(answers) if answers else 0.0


def problem_counts(answers: Sequence[Parsed | None]) -> dict[str, dict[str, int]]:
    """For each kind the number of answers that show it and of items that it cost."""
    answers_with: Counter[str] = Counter()
    items: Counter[str] = Counter()
    for answer in answers:
        kinds = ["no_answer"] if answer is None else [p.kind.value for p in answer.problems]
        items.update(kinds)
        answers_with.update(set(kinds))
    order = ["no_answer", *(kind.value for kind in ErrorKind)]
    return {k: {"answers": answers_with[k], "items": items[k]} for k in order if items[k]}
