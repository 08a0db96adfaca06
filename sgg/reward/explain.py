"""Why a completion earned what it earned: which gold relation was hit by which prediction, and why not.

Input: one `ScoredCompletion`. Output: lines of text. Explains `edge_hard`: three equal labels, both IoU
at the threshold, one prediction for one gold relation.
"""

from __future__ import annotations

from collections.abc import Iterator

from scipy.optimize import linear_sum_assignment

from sgg.reward.case import ScoredCompletion, edge_hits
from sgg.scene.graph import Edge, SceneGraph
from sgg.scene.match import reaches
from sgg.scene.vocab import canonical


def explain(case: ScoredCompletion, iou_threshold: float = 0.5) -> list[str]:
    """One line for each gold relation, then one for each prediction that hits none."""
    hits = edge_hits(case, iou_threshold)
    rows, columns = linear_sum_assignment(hits, maximize=True)
    chosen = {g: p for p, g in zip(rows.tolist(), columns.tolist(), strict=True) if hits[p, g]}
    taken = {p: g for g, p in chosen.items()}
    lines = []
    for g, edge in enumerate(case.gold.edges):
        label = f"gold {g + 1}: {_said(case.gold, edge)}"
        if g in chosen:
            lines.append(f"{label}  HIT by prediction {chosen[g] + 1}")
            continue
        lines.append(f"{label}  MISSED")
        lines += [f"    {line}" for line in _why_missed(case, g, taken, iou_threshold)]
    for p, edge in enumerate(case.pred.edges):
        if p not in taken:
            lines.append(f"prediction {p + 1}: {_said(case.pred, edge)}  hits no gold relation")
    lines += [f"problem: {p.kind.value} {p.item}".rstrip() for p in case.parsed.problems]
    return lines


def _why_missed(
    case: ScoredCompletion, g: int, taken: dict[int, int], iou_threshold: float
) -> Iterator[str]:
    """What keeps the nearest prediction from hitting; of equally near ones the first."""
    if not case.pred.edges:
        yield "no relation is predicted"
        return
    faults = [
        (len(found), -overlap, p, found)
        for p in range(len(case.pred.edges))
        for found, overlap in [_faults(case, p, g, iou_threshold)]
    ]
    _, _, p, found = min(faults)
    if not found:
        found = [
            f"it is taken: one prediction hits one relation, and this one hits gold {taken[p] + 1}"
        ]
    yield f"nearest is prediction {p + 1}: {_said(case.pred, case.pred.edges[p])}"
    yield from (f"  {fault}" for fault in found)


def _faults(
    case: ScoredCompletion, p: int, g: int, iou_threshold: float
) -> tuple[list[str], float]:
    """What is wrong with a prediction for a gold relation, and the sum of both overlaps."""
    pred, gold = case.pred.edges[p], case.gold.edges[g]
    places = ("subject", "predicate", "object")
    said, true = case.pred.triplet(pred), case.gold.triplet(gold)
    faults = [
        f"{place}: `{a}` is not `{b}`"
        for place, a, b in zip(places, said, true, strict=True)
        if canonical(a) != canonical(b)
    ]
    overlaps = case.match.iou[[pred.subject, pred.object], [gold.subject, gold.object]]
    enough = reaches(overlaps, iou_threshold)
    faults += [
        f"{place}: IoU {overlap:.2f} is below {iou_threshold:g}"
        for place, overlap, fits in zip(("subject", "object"), overlaps, enough, strict=True)
        if not fits
    ]
    return faults, float(overlaps.sum())


def _said(graph: SceneGraph, edge: Edge) -> str:
    return " – ".join(graph.triplet(edge))
