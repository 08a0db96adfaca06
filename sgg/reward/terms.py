"""Reward terms: pure functions of one answer, its gold and their match, each from 0 to 1.

A term takes a `Case` and keyword options and returns a number; weights live in the config. Formulas
are R1-SGG's (arXiv 2504.13617, section 3.2) without its defects (docs/rewards.md): gold is compared by
canonical names, several predicates per pair count, one prediction satisfies one gold relation, one
bad item costs that item. Where gold has no relations, edge terms give 1 to any answer but a failed
one: there is nothing to find, and nothing to tell answers apart by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sgg.codec import ErrorKind, Parsed
from sgg.graph import SceneGraph
from sgg.match import Match, edge_ends, triplet_hits
from sgg.similarity import similarity


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a term may look at: parsed and matched once for all terms."""

    parsed: Parsed
    gold: SceneGraph
    match: Match

    @property
    def pred(self) -> SceneGraph:
        """The graph that the answer states."""
        return self.parsed.graph


_NOT_FORM = frozenset({ErrorKind.unknown_class, ErrorKind.unknown_predicate})
"""Problems of content, not of form."""


def format(case: Case) -> float:
    """1 if the answer has the form that the prompt asks for, else 0.

    The form: think and answer tags where the prompt wants them, valid JSON, at least one object, every
    box four numbers that make a box, every id once, every relation between declared objects. The
    reference gives 1 to the empty graph alone.
    """
    clean = all(p.kind in _NOT_FORM for p in case.parsed.problems)
    return float(clean and case.parsed.tags_as_asked and bool(case.pred.nodes))


def node_acc(case: Case) -> float:
    """1/|V| · Σ over gold nodes of the name similarity of the node assigned to it.

    Two gold nodes, `man` matched by `man`, `dog` by nothing: (1 + 0) / 2 = 0.5.
    """
    return _over_nodes(case, case.match.names)


def node_box(case: Case) -> float:
    """1/|V| · Σ over gold nodes of (2 · IoU + 5 · exp(-L1)) / 7 of the node assigned to it.

    Perfect boxes give 1. One of two gold nodes unmatched, the other perfect: 0.5.
    """
    return _over_nodes(case, (2 * case.match.iou + 5 * np.exp(-case.match.l1)) / 7)


def edge_soft(case: Case) -> float:
    """1/|E| · Σ over gold relations of s_subject · s_predicate · s_object on the assigned nodes.

    A gold relation counts if some relation is predicted between the two nodes assigned to its ends; of
    several, the most similar predicate counts. Boxes enter through the assignment alone.
    """
    if not case.gold.edges:
        return _nothing_to_find(case)
    if not case.pred.edges:
        return 0.0
    predicates = _predicate_similarity(case)
    pred_ends, gold_ends = edge_ends(case.pred), edge_ends(case.gold)
    assigned = np.array(case.match.pred_of_gold, dtype=np.int64)
    total = 0.0
    for column, (subject, obj) in enumerate(gold_ends):
        ends = (assigned[subject], assigned[obj])
        if min(ends) < 0:
            continue
        rows = (pred_ends == ends).all(axis=1)
        if rows.any():
            names = case.match.names[ends[0], subject] * case.match.names[ends[1], obj]
            total += float(names * predicates[rows, column].max())
    return total / len(case.gold.edges)


def edge_hard(case: Case, *, iou_threshold: float = 0.5) -> float:
    """Hard Recall: the share of gold relations that a predicted triplet hits.

    A hit: three equal labels and both IoU at least `iou_threshold`. Each predicted triplet hits at
    most one gold relation (largest one-to-one matching). One of four gold relations hit: 0.25.
    """
    if not case.gold.edges:
        return _nothing_to_find(case)
    return _hits(case, iou_threshold) / len(case.gold.edges)


def edge_precision(case: Case, *, iou_threshold: float = 0.5) -> float:
    """The share of predicted relations that hit a gold one, one to one.

    What recall alone cannot see: thirty guesses with one hit give 1/30. No relation predicted: 0.
    """
    if not case.gold.edges:
        return _nothing_to_find(case) if not case.pred.edges else 0.0
    return _hits(case, iou_threshold) / len(case.pred.edges) if case.pred.edges else 0.0


def edge_f1(case: Case, *, iou_threshold: float = 0.5) -> float:
    """Harmonic mean of `edge_hard` and `edge_precision`: 2 · hits / (|E_pred| + |E_gold|).

    Two hits, four predicted, two gold: 2 · 2 / 6 = 0.667.
    """
    if not case.gold.edges:
        return edge_precision(case, iou_threshold=iou_threshold)
    return 2 * _hits(case, iou_threshold) / (len(case.pred.edges) + len(case.gold.edges))


def edge_relax(case: Case, *, iou_threshold: float = 0.5) -> float:
    """Hard Recall + Relax: 1/|E| · Σ over gold of the best s_subject · s_predicate · s_object.

    Only predictions with both IoU at least `iou_threshold` compete; as in the reference, one
    prediction may serve several gold relations. `on` for `standing on` at similarity 0.7: 0.7 of a hit.
    """
    if not case.gold.edges:
        return _nothing_to_find(case)
    if not case.pred.edges:
        return 0.0
    scores = _predicate_similarity(case)
    pred_ends, gold_ends = edge_ends(case.pred), edge_ends(case.gold)
    for end in (0, 1):
        pairs = np.ix_(pred_ends[:, end], gold_ends[:, end])
        scores = scores * case.match.names[pairs] * (case.match.iou[pairs] >= iou_threshold)
    return float(scores.max(axis=0).sum()) / len(case.gold.edges)


def _nothing_to_find(case: Case) -> float:
    return float(case.parsed.failure is None)


def _over_nodes(case: Case, values: NDArray[np.float64]) -> float:
    """Mean over gold nodes of the value of the assigned pair; unassigned nodes count 0."""
    if not case.gold.nodes:
        return _nothing_to_find(case)
    pairs = [(p, g) for g, p in enumerate(case.match.pred_of_gold) if p >= 0]
    return float(sum(values[p, g] for p, g in pairs)) / len(case.gold.nodes)


def _predicate_similarity(case: Case) -> NDArray[np.float64]:
    """Shape (pred edges, gold edges)."""
    pred, gold = ([e.predicate for e in graph.edges] for graph in (case.pred, case.gold))
    return similarity(case.match.kind, pred, gold)


def _hits(case: Case, iou_threshold: float) -> int:
    """Size of the largest one-to-one matching of predicted to gold relations."""
    hits = triplet_hits(case.pred, case.gold, case.match.iou, iou_threshold)
    if not hits.size:
        return 0
    if (hits.sum(axis=1) <= 1).all():  # nobody has a choice: count the gold that is hit
        return int(hits.any(axis=0).sum())
    rows, columns = linear_sum_assignment(hits, maximize=True)
    return int(hits[rows, columns].sum())
