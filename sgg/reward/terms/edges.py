"""Terms about relations: triplets of subject, predicate and object."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from sgg.reward.case import (
    ScoredCompletion,
    edges_found,
    edges_reached,
    nothing_to_find,
)
from sgg.scene.graph import Edge
from sgg.scene.match import edge_ends, reaches
from sgg.scene.similarity import pair_similarity, similarity
from sgg.scene.vocab import canonical


def edge_soft(case: ScoredCompletion) -> float:
    """1/|E| · Σ over gold relations of s_subject · s_predicate · s_object on the assigned nodes (R1-SGG).

    A gold relation counts if some relation is predicted between the two nodes assigned to its ends; of
    several, the most similar predicate counts. Boxes enter through the assignment only. `on` for
    `standing on` at similarity 0.7 between the right two nodes, one gold relation: 0.7.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    said = _by_ends(case.pred.edges)
    if not said:
        return 0.0
    pred_of_gold, names = case.match.pred_of_gold, case.match.pair_names
    alike = pair_similarity(case.match.how)
    total = 0.0
    for subject, predicate, obj in case.gold.edges:
        predicates = said.get((pred_of_gold[subject], pred_of_gold[obj]))
        if predicates is not None:
            best = max([alike(candidate, predicate) for candidate in predicates])
            total += names[subject] * names[obj] * best
    return total / len(case.gold.edges)


def _by_ends(edges: Sequence[Edge]) -> Mapping[tuple[int, int], Sequence[str]]:
    """Predicates by (subject, object)."""
    single = {(subject, obj): (predicate,) for subject, predicate, obj in edges}
    if len(single) == len(edges):
        return single
    several: dict[tuple[int, int], list[str]] = defaultdict(list)
    for subject, predicate, obj in edges:
        several[subject, obj].append(predicate)
    return several


def edge_hard(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """Hard Recall: the share of gold relations that a predicted triplet hits (R1-SGG).

    A hit: three equal labels and both IoU at least `iou_threshold`. Each predicted triplet hits at
    most one gold relation (largest one-to-one matching). One of four gold relations hit: 0.25.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    return edges_found(case, iou_threshold) / len(case.gold.edges)


def edge_precision(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """The share of predicted relations that hit a gold one, one to one.

    What recall alone cannot see: thirty guesses with one hit give 1/30. No relation predicted: 0.
    """
    if not case.gold.edges:
        return nothing_to_find(case) if not case.pred.edges else 0.0
    if not case.pred.edges:
        return 0.0
    return edges_found(case, iou_threshold) / len(case.pred.edges)


def edge_f1(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """Harmonic mean of `edge_hard` and `edge_precision`: 2 · hits / (|E_pred| + |E_gold|).

    Two hits, four predicted, two gold: 2 · 2 / 6 = 0.667.
    """
    if not case.gold.edges:
        return edge_precision(case, iou_threshold=iou_threshold)
    found = edges_found(case, iou_threshold)
    return 2 * found / (len(case.pred.edges) + len(case.gold.edges))


def edge_weighted(
    case: ScoredCompletion, *, alpha: float = 0.5, iou_threshold: float = 0.5
) -> float:
    """α · precision + (1 − α) · recall of relations (DIP-R1, arXiv 2505.23179).

    One hit, two predicted, four gold, α .5: (1/2 + 1/4) / 2 = 0.375.
    """
    precision = edge_precision(case, iou_threshold=iou_threshold)
    return alpha * precision + (1 - alpha) * edge_hard(case, iou_threshold=iou_threshold)


def edge_relax(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """Hard Recall + Relax: 1/|E| · Σ over gold of the best s_subject · s_predicate · s_object (R1-SGG).

    Only predictions with both IoU at least `iou_threshold` compete; as in the reference, one
    prediction may serve several gold relations. `on` for `standing on` at similarity 0.7: 0.7 of a hit.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    if not case.pred.edges:
        return 0.0
    pred, gold = ([e.predicate for e in graph.edges] for graph in (case.pred, case.gold))
    scores = similarity(case.match.how, pred, gold)
    pred_ends, gold_ends = edge_ends(case.pred), edge_ends(case.gold)
    for end in (0, 1):
        pairs = np.ix_(pred_ends[:, end], gold_ends[:, end])
        scores = scores * case.match.names[pairs] * reaches(case.match.iou[pairs], iou_threshold)
    return float(scores.max(axis=0).sum()) / len(case.gold.edges)


def edge_cls(case: ScoredCompletion) -> float:
    """1/|E| · Σ over gold relations of the similarity of the triplet assigned to it, boxes aside (R1-SGG).

    The reference's task `cls`: relations without boxes. Hungarian matching of triplets with cost
    1 − s_subject · s_predicate · s_object; relations whose objects are not declared, or have no box, count
    by the names in their ids. Gold `man on horse`, `dog near man`; said `man on horse`: 0.5.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    pred = [case.pred.triplet(e) for e in case.pred.edges] + list(case.parsed.loose)
    if not pred:
        return 0.0
    gold = [case.gold.triplet(e) for e in case.gold.edges]
    alike = np.ones((len(pred), len(gold)))
    for place in range(3):
        alike *= similarity(case.match.how, [t[place] for t in pred], [t[place] for t in gold])
    rows, columns = linear_sum_assignment(alike, maximize=True)
    return float(alike[rows, columns].sum()) / len(gold)


def edge_r_mr(case: ScoredCompletion, *, alpha: float = 0.5, iou_threshold: float = 0.5) -> float:
    """α · R + (1 − α) · mR (Relation-R1, arXiv 2504.14642): mR is the mean of the predicates' recalls.

    Gold: three `on`, one `riding`; only the `on` are hit, α .5: (3/4 + (1 + 0)/2) / 2 = 0.625.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    reached = edges_reached(case, iou_threshold).tolist()
    flags: dict[str, list[bool]] = defaultdict(list)
    for edge, hit in zip(case.gold.edges, reached, strict=True):
        flags[canonical(edge.predicate)].append(hit)
    mean = sum(sum(hits) / len(hits) for hits in flags.values()) / len(flags)
    return alpha * sum(reached) / len(reached) + (1 - alpha) * mean


def edge_rare(
    case: ScoredCompletion,
    *,
    counts: Mapping[str, float] | None = None,
    low: float = 2.0,
    high: float = 10.0,
    iou_threshold: float = 0.5,
) -> float:
    """Recall with inverse-frequency predicate weights (SGG-R3, arXiv 2603.07961): Σ w · hit / Σ w.

    w = low + (high − low) · norm(log(1/frequency)), norm from the commonest (0) to the rarest (1);
    a predicate without a count is as rare as the rarest. `counts` is how often each occurs: the training
    split's own, unless set; none at all weighs all alike. Counts {on: 100, riding: 1}: w = 2 and 10;
    gold one of each, only `riding` hit: 10/12 = 0.833.
    """
    if not case.gold.edges:
        return nothing_to_find(case)
    logs = {
        canonical(name): -math.log(count) for name, count in (counts or {}).items() if count > 0
    }
    norm: Mapping[str, float] = {}
    if len(set(logs.values())) > 1:
        floor, top = min(logs.values()), max(logs.values())
        norm = {name: (value - floor) / (top - floor) for name, value in logs.items()}
    weights = [
        low + (high - low) * norm.get(canonical(edge.predicate), 1.0) for edge in case.gold.edges
    ]
    reached = edges_reached(case, iou_threshold).tolist()
    return sum(w for w, hit in zip(weights, reached, strict=True) if hit) / sum(weights)


def edge_ap(case: ScoredCompletion, *, iou_threshold: float = 0.5, guard: bool = True) -> float:
    """Triplet AP with length guard, VLM-R1's detection reward on relations; see `node_ap`.

    Mean over gold's predicates of precision · recall, times min(1, |E_gold| / |E_pred|). One predicate,
    two gold, four said, two hits: 1 · 2/4 · guard 2/4 = 0.25.
    """
    if not case.gold.edges:
        return edge_precision(case)
    if not case.pred.edges:
        return 0.0
    said = Counter(canonical(e.predicate) for e in case.pred.edges)
    gold = Counter(canonical(e.predicate) for e in case.gold.edges)
    reached = edges_reached(case, iou_threshold).tolist()
    found = Counter(
        canonical(e.predicate) for e, hit in zip(case.gold.edges, reached, strict=True) if hit
    )
    mean = sum(found[p] ** 2 / (said[p] * gold[p]) for p in found) / len(gold)
    return mean * min(1.0, len(case.gold.edges) / len(case.pred.edges)) if guard else mean


def edge_hallucination(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """−(share of predicted relations that hit no gold one)², from −1 to 0 (SceneGraphVLM).

    A hit as in `edge_hard`. Four relations said, two of them there: −0.25. None said: 0.
    """
    predicted = len(case.pred.edges)
    return 0.0 - (1 - edges_found(case, iou_threshold) / predicted) ** 2 if predicted else 0.0
