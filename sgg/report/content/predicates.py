"""Recall of each predicate in each compared run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgg.evaluation.score import Scored

ENOUGH = 20
"""Gold relations from which on a predicate's recall may be called the lowest."""
GROUPS = ("head", "body", "tail")


@dataclass(frozen=True)
class PredicateRow:
    """One predicate."""

    name: str
    group: str
    """head, body or tail: thirds of the predicates by how often gold shows them."""
    gold: int
    hits: list[float]
    """Gold relations that each run finds, in the order of the runs: whole numbers with one completion an
    image, else means over completions."""

    def recall(self, run: int) -> float:
        """Share of gold that a run finds."""
        return self.hits[run] / self.gold if self.gold else 0.0

    def mean_recall(self, runs: Sequence[int]) -> float:
        """Mean share over some runs."""
        return sum(map(self.recall, runs)) / len(runs)


def predicate_rows(runs: Sequence[Scored]) -> list[PredicateRow]:
    """Each predicate that gold shows, the most frequent first."""
    if not runs:
        return []
    found = [one.found.by_predicate() for one in runs]
    return [
        PredicateRow(
            name,
            str(row["group"]),
            found[0][name][0],
            [hits[name][1] for hits in found],
        )
        for row in runs[0].predicates
        if (name := row["predicate"]) in found[0]
    ]


def worst(
    rows: Sequence[PredicateRow], groups: Sequence[Sequence[int]], count: int = 5
) -> list[PredicateRow]:
    """The predicates with enough gold that are found least of, the worst first.

    Args:
        rows: to choose from.
        groups: places of the runs that are asked; each group counts as much, however many runs it has.
        count: of predicates, at most.

    """

    def recall(row: PredicateRow) -> float:
        return sum(map(row.mean_recall, groups)) / len(groups)

    enough = [row for row in rows if row.gold >= ENOUGH] or list(rows)
    return sorted(enough, key=lambda row: (recall(row), -row.gold, row.name))[:count]
