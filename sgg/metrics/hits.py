"""Which gold relations a prediction hits, and at which rank, in each mode of a protocol.

Input: the arrays of one prediction and of its gold, in the same frame. Output: for each gold relation
the rank of the first prediction that hits it. No sums over images (`metrics.tally`, `metrics.recall`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgg.config.data import Duplicates
from sgg.config.protocol import BoxArea, Matching, Mode, NgFill, ProtocolConfig
from sgg.metrics.arrays import Floats, GraphArrays, Ints
from sgg.scene.boxes import iou
from sgg.scene.match import ends_hit, reaches

Flags = NDArray[np.bool_]

NEVER = 1 << 30
"""Rank of a gold relation that nothing hits, and of a prediction that is not ranked."""
NG_LIMIT = 100
"""Predictions that the evaluators which fill ng-R up rank at most."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """At which rank each predicted relation stands, in order of writing; NEVER where left out."""

    constrained: Ints
    """One predicate per ordered pair, where the protocol says so."""
    unconstrained: Ints
    """Several predicates per pair: ng-R."""
    deduplicated: Ints
    """As `constrained`, repeated relations taken out."""
    repeated: Flags
    """Relations with the labels and boxes of an earlier one."""


def rank(pred: GraphArrays, protocol: ProtocolConfig) -> Ranking:
    """Rank the relations of a prediction."""
    twin: dict[tuple[float, ...], int] = {}
    boxes = pred.boxes.tolist()
    first = [
        twin.setdefault((label, *box), i)
        for i, (label, box) in enumerate(zip(pred.labels.tolist(), boxes, strict=True))
    ]
    ends = list(zip(pred.subjects.tolist(), pred.objects.tolist(), strict=True))
    triplets = list(zip(ends, pred.predicates.tolist(), strict=True))
    again = _seen_before([(first[s], first[o], p) for (s, o), p in triplets])
    none = np.zeros(len(ends), dtype=bool)
    constrained = _seen_before(ends) if protocol.graph_constraint else none
    dropped = _seen_before(triplets) if protocol.duplicates is Duplicates.drop else none
    return Ranking(
        _ranks(constrained | dropped), _ranks(dropped), _ranks(constrained | again), again
    )


def _seen_before(keys: Sequence[Hashable]) -> Flags:
    """Whether each key stands earlier in the sequence, too."""
    seen: set[Hashable] = set()
    found = []
    for key in keys:
        found.append(key in seen)
        seen.add(key)
    return np.array(found, dtype=bool)


def _ranks(left_out: Flags) -> Ints:
    return np.where(left_out, NEVER, np.cumsum(~left_out) - 1)


class Overlap:
    """The overlaps of one prediction with its gold, computed once for all modes."""

    def __init__(self, pred: GraphArrays, gold: GraphArrays, protocol: ProtocolConfig) -> None:
        self.pred, self.gold = pred, gold
        self._protocol = protocol
        self._extra = 1.0 if protocol.box_area is BoxArea.plus_one else 0.0
        self.iou = iou(pred.boxes, gold.boxes, self._extra)
        self.same = pred.labels[:, None] == gold.labels[None]

    def pair_hits(self, mode: Mode) -> Flags:
        """Whether the ends of a predicted relation fit those of a gold one, shape (pred, gold)."""
        if mode is Mode.phrdet:
            return self._ends(self.same) & self._unions()
        if mode is Mode.sgdet:
            return self._ends(self._close(self.iou, self.same))
        return self._ends(self._given(mode))

    def reversed_pairs(self) -> Flags:
        """Whether the ends of a predicted relation fit those of a gold one the other way round."""
        fits = self._close(self.iou, self.same)
        pred, gold = self.pred, self.gold
        return ends_hit(fits, (pred.subjects, pred.objects), (gold.objects, gold.subjects))

    def hits(self, pairs: Flags) -> Flags:
        """Pair hits whose predicates are equal, too."""
        return pairs & (self.pred.predicates[:, None] == self.gold.predicates[None])

    def objects(self) -> Flags:
        """Which predicted object is which gold one: equal label, IoU at the threshold."""
        return self.same & self._reaches(self.iou)

    def _close(self, overlap: Floats, same: Flags) -> Flags:
        if self._protocol.matching is Matching.every:
            return same & self._reaches(overlap)
        if not overlap.size:
            return same
        masked = np.where(same, overlap, 0.0)
        best = np.arange(masked.shape[1])[None] == masked.argmax(axis=1)[:, None]
        return best & self._reaches(masked)

    def _given(self, mode: Mode) -> Flags:
        """`_close` after each predicted object was put on the gold box that it overlaps most."""
        if not self.iou.size:
            return self.same
        place = (self.iou + 1e-9 * self.same).argmax(axis=1)  # of equal boxes, the equal label's
        put = self._reaches(self.iou[np.arange(len(place)), place])
        overlap = iou(self.gold.boxes, self.gold.boxes, self._extra)[place]
        same = self.same
        if mode is Mode.predcls:
            same = self.gold.labels[place][:, None] == self.gold.labels[None]
        return self._close(overlap, same) & put[:, None]

    def _ends(self, fits: Flags) -> Flags:
        pred, gold = self.pred, self.gold
        return ends_hit(fits, (pred.subjects, pred.objects), (gold.subjects, gold.objects))

    def _unions(self) -> Flags:
        return self._reaches(iou(unions(self.pred), unions(self.gold), self._extra))

    def _reaches(self, overlap: Floats) -> Flags:
        return reaches(overlap, self._protocol.iou_threshold)


def first_hits(hits: Flags, ranks: Ints) -> Ints:
    """For each gold relation the lowest rank of a prediction that hits it, else NEVER."""
    if not hits.shape[0]:
        return np.full(hits.shape[1], NEVER, dtype=np.int64)
    return np.where(hits, ranks[:, None], NEVER).min(axis=0)


def filled_hits(overlap: Overlap, pairs: Flags, ranking: Ranking, order: Ints) -> Ints:
    """First hits when ng-R is filled up with predicates that nobody wrote, cut at 100.

    After the written relations come, pair by pair, all other predicates in the vocabulary's order:
    scores of 0 tie, and a stable sort keeps them so.

    Args:
        order: place of each name id in the vocabulary's predicates, -1 outside; ids from `Names`.

    """
    written = ranking.unconstrained
    ranked = written < NEVER
    count, others = int(ranked.sum()), int((order >= 0).sum()) - 1
    own, wanted = order[overlap.pred.predicates], order[overlap.gold.predicates]
    before = wanted[None] - (wanted[None] > own[:, None])
    filled = count + others * written[:, None] + before
    usable = pairs & ranked[:, None] & (wanted >= 0)[None]
    filled = np.where(usable & (wanted[None] != own[:, None]), filled, NEVER)
    lowest = np.minimum(
        first_hits(overlap.hits(pairs), written),
        filled.min(axis=0) if len(filled) else np.full(len(wanted), NEVER),
    )
    return np.where(lowest < NG_LIMIT, lowest, NEVER)


def ng_hits(
    overlap: Overlap, pairs: Flags, ranking: Ranking, protocol: ProtocolConfig, order: Ints
) -> Ints:
    """First hits without graph constraint, as the protocol ranks them."""
    if protocol.ng_fill is NgFill.zero_scores:
        return filled_hits(overlap, pairs, ranking, order)
    return first_hits(overlap.hits(pairs), ranking.unconstrained)


def unions(graph: GraphArrays) -> Floats:
    """The smallest box around both ends of each relation, shape (edges, 4)."""
    s, o = graph.boxes[graph.subjects], graph.boxes[graph.objects]
    return np.concatenate([np.minimum(s[:, :2], o[:, :2]), np.maximum(s[:, 2:], o[:, 2:])], axis=1)
