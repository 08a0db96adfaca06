"""What a term looks at, and what several terms need of it, computed once.

Input: one parsed completion, its gold and their match. Output: the case that every term scores, and hits
of objects and relations. Conventions of all terms: names and predicates are compared by canonical form;
one prediction hits one gold item; where gold has no items of a kind, there is nothing to find, and any
completion but a failed one earns the term's full value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sgg.scene.graph import SceneGraph
from sgg.scene.match import Match, object_hits, triplet_hits
from sgg.text.codec import Parsed

T = TypeVar("T")
Hits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredCompletion:
    """Everything a term may look at: parsed and matched once for all terms."""

    parsed: Parsed
    gold: SceneGraph
    match: Match
    text: str = ""
    """The completion as written."""
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def pred(self) -> SceneGraph:
        """The graph that the completion states."""
        return self.parsed.graph

    def once(self, key: Any, compute: Callable[[], T]) -> T:
        """The value under `key`, computed by whichever term asks first."""
        if key not in self.memo:
            self.memo[key] = compute()
        value: T = self.memo[key]
        return value


def nothing_to_find(case: ScoredCompletion) -> float:
    """1 for any completion that is no failure."""
    return float(case.parsed.failure is None)


def node_hits(case: ScoredCompletion, iou_threshold: float) -> Hits:
    """Which predicted node hits which gold one; see `match.object_hits`."""

    def compute() -> Hits:
        return object_hits(case.pred, case.gold, case.match.iou, iou_threshold)

    return case.once(("node_hits", iou_threshold), compute)


def edge_hits(case: ScoredCompletion, iou_threshold: float) -> Hits:
    """Which predicted triplet hits which gold one; see `match.triplet_hits`."""

    def compute() -> Hits:
        return triplet_hits(case.pred, case.gold, node_hits(case, iou_threshold))

    return case.once(("edge_hits", iou_threshold), compute)


def gold_hit(hits: Hits) -> Hits:
    """Which gold items (columns) the largest one-to-one matching of the hits reaches."""
    if not hits.size:
        return np.zeros(hits.shape[1], dtype=np.bool_)
    if (hits.sum(axis=1) <= 1).all():  # nobody has a choice
        return np.asarray(hits.any(axis=0))
    reached = np.zeros(hits.shape[1], dtype=np.bool_)
    rows, columns = linear_sum_assignment(hits, maximize=True)
    reached[columns[hits[rows, columns]]] = True
    return reached


def nodes_found(case: ScoredCompletion, iou_threshold: float) -> int:
    """Gold nodes that are hit, one to one."""
    key = ("nodes_found", iou_threshold)
    return case.once(key, lambda: int(gold_hit(node_hits(case, iou_threshold)).sum()))


def edges_reached(case: ScoredCompletion, iou_threshold: float) -> Hits:
    """Which gold relations are hit, one to one."""
    key = ("edges_reached", iou_threshold)
    return case.once(key, lambda: gold_hit(edge_hits(case, iou_threshold)))


def edges_found(case: ScoredCompletion, iou_threshold: float) -> int:
    """Gold relations that are hit, one to one."""
    return int(edges_reached(case, iou_threshold).sum())
