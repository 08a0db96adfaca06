"""Which predicted object stands for which gold object: computed once per answer, used by all.

Comes in: two graphs of one image. Goes out: a `Match` with the pairwise similarities and overlaps
and the optimal one-to-one assignment. Rewards and metrics read it; neither matches again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sgg import boxes
from sgg.graph import SceneGraph
from sgg.options import MatchWeights, SimilarityKind
from sgg.similarity import similarity
from sgg.vocab import canonical

Matrix = NDArray[np.float64]

DEFAULT_WEIGHTS = MatchWeights()


@dataclass(frozen=True, slots=True)
class Match:
    """Pairwise values of predicted (rows) and gold (columns) nodes of one image."""

    names: Matrix
    """Name similarity, 0..1, shape (pred, gold)."""
    iou: Matrix
    l1: Matrix
    """L1 distance of boxes in [0, 1] of the image's sides."""
    pred_of_gold: tuple[int, ...]
    """For each gold node the predicted node assigned to it, -1 for none."""
    kind: SimilarityKind
    """By what predicates are compared, too."""


def assign(
    pred: SceneGraph,
    gold: SceneGraph,
    width: int,
    height: int,
    kind: SimilarityKind = SimilarityKind.exact,
    weights: MatchWeights = DEFAULT_WEIGHTS,
) -> Match:
    """Hungarian assignment of predicted to gold nodes (R1-SGG, arXiv 2504.13617, section 3).

    Cost of a pair: name · (1 - similarity) + giou · (1 - GIoU) + l1 · L1, boxes in [0, 1]. Ties are
    broken the same way every time (scipy's solver is deterministic).
    """
    scale = np.array([width, height, width, height], dtype=np.float64)
    pred_boxes, gold_boxes = pred.boxes_xyxy / scale, gold.boxes_xyxy / scale
    names = similarity(kind, [n.name for n in pred.nodes], [n.name for n in gold.nodes])
    l1 = boxes.l1(pred_boxes, gold_boxes)
    cost = (
        weights.name * (1 - names)
        + weights.giou * (1 - boxes.giou(pred_boxes, gold_boxes))
        + weights.l1 * l1
    )
    pred_of_gold = [-1] * len(gold.nodes)
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        pred_of_gold[int(column)] = int(row)
    # in pixels, as the metrics do: scaling could round an overlap of exactly .5 below the threshold
    iou = boxes.iou(pred.boxes_xyxy, gold.boxes_xyxy)
    return Match(names, iou, l1, tuple(pred_of_gold), kind)


def triplet_hits(
    pred: SceneGraph, gold: SceneGraph, iou: Matrix, threshold: float
) -> NDArray[np.bool_]:
    """Which predicted triplet hits which gold one, shape (pred edges, gold edges).

    A hit: the three canonical labels are equal and both IoU are at least `threshold` (inclusive).
    """

    def labels(graph: SceneGraph) -> list[tuple[str, str, str]]:
        names = [canonical(n.name) for n in graph.nodes]
        return [(names[e.subject], canonical(e.predicate), names[e.object]) for e in graph.edges]

    ids: dict[tuple[str, str, str], int] = {}
    pred_ids = np.array([ids.setdefault(t, len(ids)) for t in labels(pred)], dtype=np.int64)
    gold_ids = np.array([ids.setdefault(t, len(ids)) for t in labels(gold)], dtype=np.int64)
    pred_ends, gold_ends = edge_ends(pred), edge_ends(gold)
    close = iou >= threshold
    hits = pred_ids[:, None] == gold_ids[None, :]
    for end in (0, 1):
        hits &= close[np.ix_(pred_ends[:, end], gold_ends[:, end])]
    return hits


def edge_ends(graph: SceneGraph) -> NDArray[np.int64]:
    """(subject, object) indices of the edges, shape (edges, 2)."""
    ends = [(e.subject, e.object) for e in graph.edges]
    return np.array(ends, dtype=np.int64).reshape(-1, 2)
