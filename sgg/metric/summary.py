"""All numbers of a tally, by name: what metrics.json and per_predicate.csv hold.

Names: `R@K`, `mR@K`, `ngR@K`, `ngmR@K`, `zR@K`, `ngzR@K`; without @K nothing is cut. SGDet bears no
prefix, other modes do (`phrdet R@50`). docs/metrics.md defines each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgg.metric.arrays import Ints
from sgg.metric.detection import average_precision
from sgg.metric.protocol import ImageOrder, Mode, ProtocolConfig
from sgg.metric.recall import Estimate, Recalls, f1
from sgg.metric.several import over_images
from sgg.metric.tally import Tally, Task

GROUPS = ("head", "body", "tail")


@dataclass(frozen=True)
class Summary:
    """Everything that is reported."""

    values: dict[str, float]
    mapped: dict[str, float]
    """Recall with synonyms mapped; empty without a vocabulary."""
    several: dict[str, float]
    """pass@k, union@k and best-of-k; empty with one answer per image."""
    groups: dict[str, dict[str, float]]
    """Mean recall of frequent (head), middling and rare (tail) predicates."""
    predicates: list[dict[str, Any]]
    estimates: dict[str, Estimate]
    """Per image, what gets an interval."""
    gold_relations: int


def summarise(tally: Tally, task: Task, image_ids: Sequence[str]) -> Summary:
    """All metrics of a tally of a split."""
    protocol, vocabulary = task.protocol, task.vocabulary
    found = Recalls(tally, protocol, vocabulary.predicates if vocabulary else None, len(image_ids))
    cuts: list[int | None] = [*protocol.cutoffs, None]
    estimates = _estimates(found, tally, task, cuts)
    values = {name: e.value for name, e in estimates.items()}
    for mode in protocol.modes:
        values |= _of_mode(found, tally, task, mode, cuts)
    values |= _of_answers(found, tally, cuts, values)
    ap = average_precision(tally.detections, _order(tally, protocol, image_ids))
    values |= {"AP50": ap.ap50, "AP": ap.ap}
    rows = _predicate_rows(found, tally, cuts)
    mapped = {}
    if vocabulary is not None:
        mapped = {_at("R", k): found.recall("mapped", k).value for k in cuts}
        mapped |= {_at("mR", k): found.mean_recall("mapped", k).value for k in cuts}
    several: dict[str, float] = {}
    if len(tally.image) > len(image_ids):
        several = over_images(_found_by_image(found, tally))
    first = np.unique(tally.image, return_index=True)[1]
    gold_relations = int(np.isin(tally.owner, first).sum())
    return Summary(values, mapped, several, _groups(rows, cuts), rows, estimates, gold_relations)


def _at(name: str, k: int | None) -> str:
    return name if k is None else f"{name}@{k}"


def _estimates(
    found: Recalls, tally: Tally, task: Task, cuts: Sequence[int | None]
) -> dict[str, Estimate]:
    estimates = {"failure_rate": found.mean_of(tally.failed)}
    estimates |= {_at("R", k): found.recall("sgdet", k) for k in cuts}
    estimates |= {_at("mR", k): found.mean_recall("sgdet", k) for k in cuts}
    if task.unseen is not None:
        estimates |= {_at("zR", k): found.recall("sgdet", k, tally.unseen) for k in cuts}
    estimates["precision"] = found.precision(None)
    return estimates


def _of_mode(
    found: Recalls, tally: Tally, task: Task, mode: Mode, cuts: Sequence[int | None]
) -> dict[str, float]:
    """What is no estimate already: other modes, and ng in all."""
    prefix = "" if mode is Mode.sgdet else f"{mode.name} "
    values: dict[str, float] = {}
    for ng in ("", " ng"):
        if not ng and mode is Mode.sgdet:
            continue
        ranked, start = f"{mode.name}{ng}", f"{prefix}{ng.strip()}"
        values |= {_at(f"{start}R", k): found.recall(ranked, k).value for k in cuts}
        values |= {_at(f"{start}mR", k): found.mean_recall(ranked, k).value for k in cuts}
        if task.unseen is not None:
            values |= {
                _at(f"{start}zR", k): found.recall(ranked, k, tally.unseen).value for k in cuts
            }
    return values


def _of_answers(
    found: Recalls, tally: Tally, cuts: Sequence[int | None], values: dict[str, float]
) -> dict[str, float]:
    """Precision, objects, lengths and duplicates."""
    precision = {k: found.precision(k).value for k in cuts}
    predicted = found.column("predicted")
    return {
        **{_at("precision", k): p for k, p in precision.items()},
        **{_at("F1", k): f1(p, values[_at("R", k)]) for k, p in precision.items()},
        **{_at("R_deduplicated", k): found.recall("deduplicated", k).value for k in cuts},
        "mR_pooled_present": found.pooled_mean_recall("sgdet", None),
        "object_recall": found.rate("objects_found", "objects").value,
        "object_precision": found.rate("said_right", "said").value,
        "relations_per_image": found.mean_of(predicted).value,
        "duplicate_rate": found.rate("repeated", "predicted").value,
        "images_counted": float((found.counted & _has_gold(tally)).sum()),
    }


def _has_gold(tally: Tally) -> Any:
    return np.bincount(tally.owner, minlength=len(tally.image)) > 0


def _order(tally: Tally, protocol: ProtocolConfig, image_ids: Sequence[str]) -> Ints | None:
    """Rank of each answer row in AP, where that is not their own order."""
    if protocol.image_order is ImageOrder.split:
        return None
    place = np.empty(len(image_ids), dtype=np.int64)
    place[np.argsort(np.array(image_ids), kind="stable")] = np.arange(len(image_ids))
    rows = np.lexsort((np.arange(len(tally.image)), place[tally.image]))
    order = np.empty(len(rows), dtype=np.int64)
    order[rows] = np.arange(len(rows))
    return order


def _predicate_rows(
    found: Recalls, tally: Tally, cuts: Sequence[int | None]
) -> list[dict[str, Any]]:
    """Each predicate with its group, counts and recalls, the most frequent in gold first."""
    gold, said, right = ([0] * len(found.predicates) for _ in range(3))
    for i, column in enumerate(found.column_of.tolist()):
        if column >= 0:
            gold[column] += int(found.gold_counts[i])
            said[column] += tally.said[i]
            right[column] += tally.right[i]
    recalls = {_at("R", k): found.predicate_recalls("sgdet", k) for k in cuts}
    order = sorted(range(len(gold)), key=lambda c: (-gold[c], found.predicates[c]))
    rows = []
    for place, column in enumerate(order):
        name = found.predicates[column]
        rows.append(
            {
                "predicate": name,
                "group": GROUPS[place * len(GROUPS) // len(order)],
                "gold": gold[column],
                "predicted": said[column],
                "correct": right[column],
                **{key: by_name.get(name, 0.0) for key, by_name in recalls.items()},
            }
        )
    return rows


def _groups(
    rows: Sequence[dict[str, Any]], cuts: Sequence[int | None]
) -> dict[str, dict[str, float]]:
    """Mean recall of thirds of the predicates, by how often gold shows them."""
    groups: dict[str, dict[str, float]] = {}
    for group in GROUPS:
        mine = [r for r in rows if r["group"] == group]
        if mine:
            groups[group] = {"predicates": len(mine), "gold": sum(r["gold"] for r in mine)}
            for k in cuts:
                groups[group][_at("mR", k)] = float(np.mean([r[_at("R", k)] for r in mine]))
    return groups


def _found_by_image(found: Recalls, tally: Tally) -> list[Any]:
    """For each image what each of its answers hits, shape (answers, gold)."""
    hit = found.hits("sgdet", None)
    parts = np.split(hit, np.cumsum(np.bincount(tally.owner, minlength=len(tally.image)))[:-1])
    images: dict[int, list[Any]] = {}
    for image, part in zip(tally.image.tolist(), parts, strict=True):
        images.setdefault(image, []).append(part)
    return [np.stack(parts) for parts in images.values()]
