"""Why a gold relation was missed and why a predicted one is wrong, in a few words for people.

Input: a prediction, its gold and the task. Output: for each relation of both graphs its partner, or the
first obstacle that the protocol's own rule (`metrics.judged`) met: not counted, another predicate, a box
that overlaps too little, an object under another name, no such object, no relation between the two objects
or only one in the other direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgg.metrics.arrays import Floats
from sgg.metrics.hits import NEVER, Flags
from sgg.metrics.judged import Judged, judge
from sgg.metrics.tally import Task
from sgg.scene.graph import Edge, SceneGraph
from sgg.scene.match import edge_ends, reaches

NOT_COUNTED = "not counted: its pair has a predicate already"
OUTSIDE = "not counted: a name outside the vocabulary"


@dataclass(frozen=True, slots=True)
class Explained:
    """The relations of one prediction and of its gold."""

    found_by: list[int]
    """For each gold relation the predicted one that hits it first, -1 for none."""
    hit_of: list[int]
    """For each predicted relation the gold one that it hits, -1 for none."""
    missed: list[str]
    """For each gold relation why nothing hits it; empty where something does."""
    wrong: list[str]
    """For each predicted relation why it hits nothing; empty where it hits."""


def explain_relations(pred: SceneGraph, gold: SceneGraph, task: Task) -> Explained:
    """Partners and reasons of all relations of one image."""
    verdict = judge(pred, gold, task)
    kept, hit = verdict.kept, verdict.hits
    seen = _Seen(pred, gold, verdict, task.protocol.iou_threshold)
    found_by = [kept[int(column.argmax())] if column.any() else -1 for column in hit.T]
    hit_of = [-1] * len(pred.edges)
    wrong = [OUTSIDE] * len(pred.edges)
    for row, index in enumerate(kept):
        if hit[row].any():
            hit_of[index] = int(hit[row].argmax())
        wrong[index] = "" if hit[row].any() else seen.why_wrong(row)
    missed = ["" if by >= 0 else seen.why_missed(g) for g, by in enumerate(found_by)]
    return Explained(found_by, hit_of, missed, wrong)


class _Seen:
    """What the rule looked at, from the side of gold or of the prediction."""

    def __init__(
        self, pred: SceneGraph, gold: SceneGraph, verdict: Judged, threshold: float
    ) -> None:
        self._pred, self._gold, self._threshold = pred, gold, threshold
        self._said = [pred.edges[i] for i in verdict.kept]
        self._same, self._iou = verdict.overlap.same, verdict.overlap.iou
        self._objects = verdict.overlap.objects()
        self._pairs = verdict.pairs
        self._reversed = verdict.overlap.reversed_pairs()
        everything = np.ones_like(verdict.pairs)
        self._labels = verdict.overlap.hits(everything) & self._named()
        self._uncounted = verdict.overlap.hits(verdict.pairs) & (verdict.ranks == NEVER)[:, None]

    def why_missed(self, g: int) -> str:
        """Of a gold relation that nothing hits."""
        if not self._pred.nodes:
            return "no object was predicted"
        if self._uncounted[:, g].any():
            return NOT_COUNTED
        if self._pairs[:, g].any():
            said = self._said[int(self._pairs[:, g].argmax())].predicate
            return f"“{said}” ≠ “{self._gold.edges[g].predicate}”"
        rows = np.flatnonzero(self._labels[:, g])
        if rows.size:
            return max((self._overlap(int(row), g) for row in rows), key=lambda o: o[0])[1]
        edge = self._gold.edges[g]
        for end in dict.fromkeys((edge.subject, edge.object)):
            if not self._objects[:, end].any():
                name = self._gold.nodes[end].name
                return _object_problem(
                    name,
                    self._same[:, end],
                    self._iou[:, end],
                    [node.name for node in self._pred.nodes],
                    self._threshold,
                    "not found",
                )
        if self._reversed[:, g].any():
            reverse = self._said[int(self._reversed[:, g].argmax())]
            return _other_way("the reverse was predicted", self._pred, reverse)
        return "both objects found, no relation between them"

    def why_wrong(self, row: int) -> str:
        """Of a predicted relation that hits nothing, by its row among those that are kept."""
        if self._uncounted[row].any():
            return NOT_COUNTED
        if self._pairs[row].any():
            truth = self._gold.edges[int(self._pairs[row].argmax())].predicate
            return f"gold: “{truth}”"
        columns = np.flatnonzero(self._labels[row])
        if columns.size:
            return max((self._overlap(row, int(g)) for g in columns), key=lambda o: o[0])[1]
        edge = self._said[row]
        for end in dict.fromkeys((edge.subject, edge.object)):
            if not self._objects[end].any():
                name = self._pred.nodes[end].name
                return _object_problem(
                    name,
                    self._same[end],
                    self._iou[end],
                    [node.name for node in self._gold.nodes],
                    self._threshold,
                    "not in gold",
                )
        if self._reversed[row].any():
            reverse = self._gold.edges[int(self._reversed[row].argmax())]
            return _other_way("gold has the reverse", self._gold, reverse)
        return "no relation between them in gold"

    def _named(self) -> Flags:
        """Whether the class names of both ends are equal, shape (kept, gold)."""
        said = np.array([(e.subject, e.object) for e in self._said], dtype=np.int64).reshape(-1, 2)
        gold = edge_ends(self._gold)
        subjects = self._same[np.ix_(said[:, 0], gold[:, 0])]
        both: Flags = subjects & self._same[np.ix_(said[:, 1], gold[:, 1])]
        return both

    def _overlap(self, row: int, g: int) -> tuple[float, str]:
        """The worse box of a pair of relations with equal labels: its IoU, and that in words."""
        said, gold = self._said[row], self._gold.edges[g]
        ends = ((said.subject, gold.subject), (said.object, gold.object))
        iou, name = min((float(self._iou[p, q]), self._gold.nodes[q].name) for p, q in ends)
        if iou >= self._threshold:  # the protocol wants the best overlap, and another object has it
            return iou, f"{name}: another box overlaps more"
        return iou, f"{name}: box IoU {iou_text(iou)}"


def _other_way(who: str, graph: SceneGraph, reverse: Edge) -> str:
    """That the pair is related, but the other way round."""
    return f"no relation in this direction; {who}: {' '.join(graph.triplet(reverse))}"


def _object_problem(
    name: str, same: Flags, iou: Floats, others: list[str], threshold: float, absent: str
) -> str:
    """Why an object has no partner.

    Args:
        same: which objects of the other graph have its name.
        iou: their overlaps with it.
        others: their names.
        threshold: from which on an overlap is a hit.
        absent: what is said of an object that has no counterpart at all.

    """
    if not iou.size:
        return f"{name} {absent}"
    best = int(iou.argmax())
    if reaches(iou, threshold)[best]:
        return f"{name} ≠ {others[best]}"
    named = np.where(same, iou, 0.0)
    if named.max() > 0:
        return f"{name}: box IoU {iou_text(float(named.max()))}"
    return f"{name} {absent}"


def iou_text(value: float) -> str:
    """An overlap below a threshold with two digits, rounded down: 0.499 must not read as 0.50.

    >>> iou_text(0.499)
    '0.49'
    """
    return f"0.{int(value * 100):02d}"
