"""Terms about objects: names and boxes of nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import exp

import numpy as np
from numpy.typing import NDArray

from sgg.reward.case import (
    ScoredCompletion,
    gold_hit,
    node_hits,
    nodes_found,
    nothing_to_find,
)
from sgg.scene.vocab import canonical


def node_acc(case: ScoredCompletion, *, over: str = "gold") -> float:
    """1/|V| · Σ over gold nodes of the name similarity of the node assigned to it (R1-SGG).

    `over=larger` divides by max(|V_gold|, |V_pred|) instead (SceneGraphVLM, arXiv 2605.13667): nodes
    too many then cost as much as nodes missed. Two gold nodes, `man` matched by `man`, `dog` by
    nothing: (1 + 0) / 2 = 0.5.
    """
    return _mean(case, case.match.pair_names, over)


def node_box(case: ScoredCompletion, *, over: str = "gold") -> float:
    """1/|V| · Σ over gold nodes of (2 · IoU + 5 · exp(-L1)) / 7 of the node assigned to it (R1-SGG).

    `over` as in `node_acc`. Perfect boxes give 1. One of two gold nodes unmatched, the other perfect: 0.5.
    """
    pairs = zip(case.match.pair_iou, case.match.pair_l1, strict=True)
    return _mean(case, [(2 * iou + 5 * exp(-l1)) / 7 for iou, l1 in pairs], over)


def node_iou2(case: ScoredCompletion, *, over: str = "gold") -> float:
    """1/|V| · Σ over gold nodes of IoU² of the node assigned to it (Perception-R1, arXiv 2504.07954).

    The square rewards the last pixels more than the first. IoU .5 on the one gold node: 0.25.
    """
    return _mean(case, [iou * iou for iou in case.match.pair_iou], over)


def node_f1(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """2 · hits / (|V_pred| + |V_gold|), a hit being an equal name and IoU ≥ `iou_threshold`, one to one.

    Three predicted, two gold, two hits: 2 · 2 / 5 = 0.8.
    """
    if not case.gold.nodes:
        return nothing_to_find(case) if not case.pred.nodes else 0.0
    hits = nodes_found(case, iou_threshold)
    return 2 * hits / (len(case.pred.nodes) + len(case.gold.nodes))


def category_f1(case: ScoredCompletion) -> float:
    """F1 of the names alone, each counted as often as it occurs (SGG-R3, arXiv 2603.07961).

    Gold {man, man, dog}, predicted {man, dog, cat}: two in common, 2 · 2 / 6 = 0.667.
    """
    if not case.gold.nodes:
        return nothing_to_find(case) if not case.pred.nodes else 0.0
    pred, gold = (
        Counter(canonical(n.name) for n in graph.nodes) for graph in (case.pred, case.gold)
    )
    return 2 * (pred & gold).total() / (pred.total() + gold.total())


def node_ap(case: ScoredCompletion, *, iou_threshold: float = 0.5, guard: bool = True) -> float:
    """Detection AP with length guard (VLM-R1, arXiv 2504.07615): mAP · min(1, |V_gold| / |V_pred|).

    Completions carry no scores, so all boxes of a class tie: one point (recall, precision) on its curve, and
    AP = precision · recall. That is COCO's AP for tied scores without its luck of the order. mAP: mean
    over gold's classes. One class, two gold, four predicted, two hits: 1 · 2/4 · guard 2/4 = 0.25.
    """
    if not case.gold.nodes:
        return nothing_to_find(case) if not case.pred.nodes else 0.0
    if not case.pred.nodes:
        return 0.0
    by_class: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, graph in enumerate((case.pred, case.gold)):
        for index, node in enumerate(graph.nodes):
            by_class[canonical(node.name)][side].append(index)
    values = [
        _tied_ap(node_hits(case, iou_threshold)[np.ix_(pred, gold)])
        for pred, gold in by_class.values()
        if gold
    ]
    mean = sum(values) / len(values)
    return mean * min(1.0, len(case.gold.nodes) / len(case.pred.nodes)) if guard else mean


def node_hallucination(case: ScoredCompletion, *, iou_threshold: float = 0.5) -> float:
    """−(share of predicted objects that hit no gold one), from −1 to 0 (SceneGraphVLM).

    A hit as in `node_f1`. Four objects said, three of them there: −0.25. Nothing said: 0.
    """
    predicted = len(case.pred.nodes)
    return nodes_found(case, iou_threshold) / predicted - 1 if predicted else 0.0


def _mean(case: ScoredCompletion, values: list[float], over: str) -> float:
    """Sum over gold nodes by their number, or by that of the larger side; unassigned nodes count 0."""
    if over not in ("gold", "larger"):
        raise ValueError(f"over={over!r}: must be 'gold' or 'larger'")
    if not case.gold.nodes:
        return nothing_to_find(case)
    count = len(case.gold.nodes)
    return sum(values) / (max(count, len(case.pred.nodes)) if over == "larger" else count)


def _tied_ap(hits: NDArray[np.bool_]) -> float:
    """Precision times recall of one class."""
    pred, gold = hits.shape
    found = int(gold_hit(hits).sum())
    return found * found / (pred * gold) if found else 0.0
