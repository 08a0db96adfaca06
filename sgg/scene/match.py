"""Which predicted object stands for which gold object: computed once per completion, used by all.

Input: graphs of one image. Output: a `Match` with the pairwise similarities and overlaps and the
optimal one-to-one assignment. Rewards read it and do not match again. What a hit is stands here, too, for
rewards, metrics, explanations and drawn samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sgg.config.reward import MatchWeights, NameSimilarity, SimilarityKind
from sgg.scene import boxes
from sgg.scene.graph import SceneGraph
from sgg.scene.similarity import DEFAULTS, similarity
from sgg.scene.vocab import canonical

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ends = NDArray[np.int64] | tuple[NDArray[np.int64], NDArray[np.int64]]

DEFAULT_WEIGHTS = MatchWeights()


class Match(NamedTuple):
    """Pairwise values of predicted (rows) and gold (columns) nodes of one image."""

    names: Matrix
    """Name similarity, 0..1, shape (pred, gold)."""
    iou: Matrix
    l1: Matrix
    """L1 distance of boxes in [0, 1] of the image's sides."""
    pred_of_gold: tuple[int, ...]
    """For each gold node the predicted node assigned to it, -1 for none."""
    how: NameSimilarity
    """By what predicates are compared, too."""
    pair_names: list[float]
    """For each gold node the name similarity of the node assigned to it, 0 for none."""
    pair_iou: list[float]
    """Likewise the overlap, 0 for none."""
    pair_l1: list[float]
    """Likewise the distance, infinite for none."""


def assign(
    pred: SceneGraph,
    gold: SceneGraph,
    width: int,
    height: int,
    how: NameSimilarity | SimilarityKind = SimilarityKind.exact,
    weights: MatchWeights = DEFAULT_WEIGHTS,
) -> Match:
    """Hungarian assignment of predicted to gold nodes (R1-SGG, arXiv 2504.13617, section 3).

    Cost of a pair: name · (1 - similarity) + giou · (1 - GIoU) + l1 · L1, boxes in [0, 1]. Ties are
    broken the same way every time (scipy's solver is deterministic).
    """
    (match,) = assign_group([pred], gold, width, height, how, weights)
    return match


def assign_group(
    preds: Sequence[SceneGraph],
    gold: SceneGraph,
    width: int,
    height: int,
    how: NameSimilarity | SimilarityKind = SimilarityKind.exact,
    weights: MatchWeights = DEFAULT_WEIGHTS,
) -> list[Match]:
    """`assign` for several completions for one image; what is pairwise is computed for all at once."""
    how = how if isinstance(how, NameSimilarity) else DEFAULTS[how]
    nodes = [node for pred in preds for node in pred.nodes]
    said, written = zip(*nodes, strict=True) if nodes else ((), ())
    pred_px = np.fromiter(chain.from_iterable(written), np.float64, 4 * len(nodes)).reshape(-1, 4)
    # in pixels, as the metrics do: scaling could round an overlap of exactly .5 below the threshold;
    # gold first, so that the longer axis is the inner one
    iou, giou, (across, down) = boxes.compare(gold.boxes_xyxy, pred_px)
    l1 = across / width + down / height
    names = similarity(how, said, [node.name for node in gold.nodes]).T
    cost = (weights.name * (1 - names) + weights.giou * (1 - giou) + weights.l1 * l1).T
    ends = list(accumulate((len(pred.nodes) for pred in preds), initial=0))
    parts = [slice(start, end) for start, end in pairwise(ends)]
    row_of = np.full((len(preds), len(gold.nodes)), -1, dtype=np.int64)
    for found, part in zip(row_of, parts, strict=True):
        rows, columns = linear_sum_assignment(cost[part])
        found[columns] = rows
    missed = row_of < 0
    place = row_of + np.array(ends[:-1], dtype=np.int64)[:, None]
    place += np.arange(len(gold.nodes)) * len(nodes)
    place[missed] = 0
    of_pairs = (
        _of_pairs(values, place, missed, none)
        for values, none in ((names, 0.0), (iou, 0.0), (l1, np.inf))
    )
    names, iou, l1 = names.T, iou.T, l1.T
    return [
        Match(names[part], iou[part], l1[part], tuple(assigned), how, *pairs)
        for part, assigned, *pairs in zip(parts, row_of.tolist(), *of_pairs, strict=True)
    ]


def _of_pairs(
    values: Matrix, place: NDArray[np.int64], missed: NDArray[np.bool_], none: float
) -> list[list[float]]:
    """The assigned pairs' values, one list per completion with one value per gold node."""
    found = values.take(place) if values.size else np.empty(place.shape)
    found[missed] = none
    return found.tolist()


def reaches(iou: Matrix, threshold: float) -> Flags:
    """Whether each overlap is enough for a hit: at least the threshold, itself included."""
    return iou >= threshold


def object_hits(pred: SceneGraph, gold: SceneGraph, iou: Matrix, threshold: float) -> Flags:
    """Which predicted object hits which gold one: equal canonical names, and IoU; shape (pred, gold)."""
    said, wanted = ([node.name for node in graph.nodes] for graph in (pred, gold))
    return _equal(said, wanted) & reaches(iou, threshold)


def ends_hit(objects: Flags, pred_ends: Ends, gold_ends: Ends) -> Flags:
    """Whether both ends of a predicted relation hit those of a gold one, shape (pred, gold).

    Args:
        objects: which predicted object hits which gold one.
        pred_ends: indices of the relations' subjects, and of their objects.
        gold_ends: likewise.

    """
    (subjects, others), (gold_subjects, gold_others) = pred_ends, gold_ends
    return objects[np.ix_(subjects, gold_subjects)] & objects[np.ix_(others, gold_others)]


def triplet_hits(pred: SceneGraph, gold: SceneGraph, objects: Flags) -> Flags:
    """Which predicted triplet hits which gold one, shape (pred edges, gold edges).

    A hit: equal canonical predicates, and both ends are hits in `objects`, as `object_hits` gives them.
    """
    said, wanted = ([edge.predicate for edge in graph.edges] for graph in (pred, gold))
    ends = edge_ends(pred).T, edge_ends(gold).T
    return _equal(said, wanted) & ends_hit(objects, *ends)


def _equal(said: Sequence[str], wanted: Sequence[str]) -> Flags:
    """Which names are one in canonical form, shape (said, wanted)."""
    ids: dict[str, int] = {}
    ours, theirs = (
        np.array([ids.setdefault(canonical(name), len(ids)) for name in names], dtype=np.int64)
        for names in (said, wanted)
    )
    return ours[:, None] == theirs


def edge_ends(graph: SceneGraph) -> NDArray[np.int64]:
    """(subject, object) indices of the edges, shape (edges, 2)."""
    ends = [(e.subject, e.object) for e in graph.edges]
    return np.array(ends, dtype=np.int64).reshape(-1, 2)
