"""Terms against padding, and the one that sees the whole group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from sgg.reward.case import ScoredCompletion, edge_hits, node_hits
from sgg.scene.boxes import iou
from sgg.scene.graph import Box, SceneGraph
from sgg.scene.match import reaches
from sgg.scene.vocab import canonical

MAX_COMPARED = 256
"""Distinct objects that are compared pair by pair; of more, only exact copies count."""


def count_guard(case: ScoredCompletion, *, of: str = "relations") -> float:
    """1 if n_pred ≤ n_gold, else n_gold / n_pred (VLM-R1, arXiv 2504.07615); 0 for a failed completion.

    A factor by nature: use it as another term's `gate`. `of` is relations or objects. Five gold
    relations, twenty said: 0.25.
    """
    if case.parsed.failure is not None:
        return 0.0
    pred, gold = _size(case.pred, of), _size(case.gold, of)
    return 1.0 if pred <= gold else gold / pred


def duplicates(case: ScoredCompletion, *, iou_threshold: float = 0.9) -> float:
    """−(share of predicted objects and relations that repeat another one), from −1 to 0.

    Objects are one if their names are equal and their boxes overlap by `iou_threshold` or more, be it by
    a chain of others; relations are one if their ends and predicates are. `man` twice on one box, and a
    dog, no relations: −1/3.
    """
    items = len(case.pred.nodes) + len(case.pred.edges)
    if not items:
        return 0.0
    one_of = _merged(case.pred, iou_threshold)
    edges = {(one_of[e.subject], canonical(e.predicate), one_of[e.object]) for e in case.pred.edges}
    return (len(set(one_of)) + len(edges) - items) / items


def coverage(
    cases: Sequence[ScoredCompletion], *, of: str = "relations", iou_threshold: float = 0.5
) -> list[float]:
    """Disagreement-weighted coverage over the group (DIP-R1, arXiv 2505.23179), one value per completion.

    With p the share of the group's completions that hit a gold item: Σ over the items that this completion
    hits of p(1 − p), by Σ over all items of p(1 − p). Finding what all find, or what none finds, earns
    nothing; where the group agrees on everything it is 0. Two completions, two gold items: one completion
    hits both, the other the first alone: weights 0 and 1/4, values 1 and 0.
    """
    find = edge_hits if of == "relations" else node_hits
    hits = np.array([find(case, iou_threshold).any(axis=0) for case in cases], dtype=np.float64)
    share = hits.mean(axis=0)
    weights = share * (1 - share)
    total = float(weights.sum())
    return [float(value) / total if total > 0 else 0.0 for value in hits @ weights]


def _size(graph: SceneGraph, of: str) -> int:
    return len(graph.edges) if of == "relations" else len(graph.nodes)


def _merged(graph: SceneGraph, iou_threshold: float) -> list[int]:
    """For each node a number that it shares with the nodes it is one with."""
    ids: dict[tuple[str, Box], int] = {}
    distinct = [ids.setdefault((canonical(n.name), n.box), len(ids)) for n in graph.nodes]
    if len(ids) > MAX_COMPARED:
        return distinct
    boxes = np.array([box for _, box in ids], dtype=np.float64)
    names = np.unique([name for name, _ in ids], return_inverse=True)[1]
    same = reaches(iou(boxes, boxes), iou_threshold) & (names[:, None] == names)
    if same.sum() == len(ids):
        return distinct
    component = connected_components(same)[1].tolist()
    return [component[i] for i in distinct]
