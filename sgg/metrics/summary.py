"""All numbers of a tally, by name: what metrics.json and per_predicate.csv hold.

Names: `R@K`, `mR@K`, `ngR@K`, `ngmR@K`, `zR@K`, `ngzR@K`; without @K nothing is cut. SGDet bears no
prefix, other modes do (`phrdet R@50`). docs/metrics.md defines each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgg.config.protocol import ImageOrder, Mode, ProtocolConfig
from sgg.metrics.arrays import Ints
from sgg.metrics.bootstrap import interval
from sgg.metrics.detection import average_precision
from sgg.metrics.pass_at_k import by_image
from sgg.metrics.recall import Estimate, Recalls
from sgg.metrics.tally import Tally, Task

GROUPS = ("head", "body", "tail")

Cuts = Sequence[int | None]


@dataclass(frozen=True)
class Summary:
    """Everything that is reported."""

    values: dict[str, float]
    mapped: dict[str, float]
    """Recall with synonyms mapped; empty without a vocabulary."""
    several: dict[str, float]
    """pass@k, union@k and best-of-k; empty with one completion per image."""
    groups: dict[str, dict[str, float]]
    """Mean recall of frequent (head), middling and rare (tail) predicates."""
    predicates: list[dict[str, Any]]
    intervals: dict[str, tuple[float, float]]
    """95 % interval by name: `R@20`, `mapped R@20`, `pass@2`, `head mR@20`."""
    estimates: dict[str, Estimate]
    """Per image, what two runs are compared by."""
    gold_relations: int


def summarise(tally: Tally, task: Task, image_ids: Sequence[str]) -> Summary:
    """All metrics of a tally of a split."""
    protocol, vocabulary = task.protocol, task.vocabulary
    found = Recalls(tally, protocol, vocabulary.predicates if vocabulary else None, len(image_ids))
    cuts: Cuts = [*protocol.cutoffs, None]
    kept = _compared(found, tally, task, cuts)
    noted = _Noted()
    values = {name: noted.value(name, e) for name, e in kept.items()}
    for mode in protocol.modes:
        values |= _of_mode(found, tally, task, mode, cuts, noted)
    values |= _of_completions(found, tally, cuts, noted)
    ap = average_precision(tally.detections, _order(tally, protocol, image_ids))
    values |= {"AP50": ap.ap50, "AP": ap.ap}
    mapped = {}
    for name, recall in (("R", found.recall), ("mR", found.mean_recall)) if vocabulary else ():
        for k in cuts:
            mapped[_at(name, k)] = noted.value(f"mapped {_at(name, k)}", recall("mapped", k))
    measures = by_image(_found_by_image(found, tally), len(image_ids))
    several = {name: noted.value(name, Estimate(*sums)) for name, sums in measures.items()}
    first = np.unique(tally.image, return_index=True)[1]
    members = _members(found)
    return Summary(
        values=values,
        mapped=mapped,
        several=several,
        groups=_groups(found, members, cuts, noted),
        predicates=_predicate_rows(found, tally, members, cuts),
        intervals=noted.intervals,
        estimates=kept,
        gold_relations=int(np.isin(tally.owner, first).sum()),
    )


class _Noted:
    """Takes estimates one by one and keeps their intervals alone: mean recalls are large tables."""

    def __init__(self) -> None:
        self.intervals: dict[str, tuple[float, float]] = {}

    def value(self, name: str, estimate: Estimate) -> float:
        """The estimate's value; its interval is noted."""
        self.intervals[name] = interval(estimate)
        return estimate.value


def _at(name: str, k: int | None) -> str:
    return name if k is None else f"{name}@{k}"


def _compared(found: Recalls, tally: Tally, task: Task, cuts: Cuts) -> dict[str, Estimate]:
    estimates = {"failure_rate": found.mean_of(tally.failed)}
    estimates |= {_at("R", k): found.recall("sgdet", k) for k in cuts}
    estimates |= {_at("mR", k): found.mean_recall("sgdet", k) for k in cuts}
    if task.unseen is not None:
        estimates |= {_at("zR", k): found.recall("sgdet", k, tally.unseen) for k in cuts}
    estimates |= {_at("precision", k): found.precision(k) for k in cuts}
    return estimates | {_at("F1", k): found.f1(k) for k in cuts}


def _of_mode(
    found: Recalls, tally: Tally, task: Task, mode: Mode, cuts: Cuts, noted: _Noted
) -> dict[str, float]:
    """What is not compared: other modes, and ng in all."""
    prefix = "" if mode is Mode.sgdet else f"{mode.name} "
    values: dict[str, float] = {}
    for ng in ("", " ng"):
        if not ng and mode is Mode.sgdet:
            continue
        ranked, start = f"{mode.name}{ng}", f"{prefix}{ng.strip()}"
        for k in cuts:
            name = _at(f"{start}R", k)
            values[name] = noted.value(name, found.recall(ranked, k))
        for k in cuts:
            name = _at(f"{start}mR", k)
            values[name] = noted.value(name, found.mean_recall(ranked, k))
        for k in cuts if task.unseen is not None else ():
            name = _at(f"{start}zR", k)
            values[name] = noted.value(name, found.recall(ranked, k, tally.unseen))
    return values


def _of_completions(found: Recalls, tally: Tally, cuts: Cuts, noted: _Noted) -> dict[str, float]:
    """Objects, lengths and duplicates; the last two are no shares and have no interval."""
    estimates = {_at("R_deduplicated", k): found.recall("deduplicated", k) for k in cuts}
    estimates |= {
        "mR_pooled_present": found.pooled_mean_recall("sgdet", None),
        "object_recall": found.rate("objects_found", "objects"),
        "object_precision": found.rate("said_right", "said"),
        "duplicate_rate": found.rate("repeated", "predicted"),
    }
    return {
        **{name: noted.value(name, e) for name, e in estimates.items()},
        "relations_per_image": found.mean_of(found.column("predicted")).value,
        "images_counted": float((found.counted & _has_gold(tally)).sum()),
    }


def _has_gold(tally: Tally) -> Any:
    return np.bincount(tally.owner, minlength=len(tally.image)) > 0


def _order(tally: Tally, protocol: ProtocolConfig, image_ids: Sequence[str]) -> Ints | None:
    """Rank of each completion row in AP, where that is not their own order."""
    if protocol.image_order is ImageOrder.split:
        return None
    place = np.empty(len(image_ids), dtype=np.int64)
    place[np.argsort(np.array(image_ids), kind="stable")] = np.arange(len(image_ids))
    rows = np.lexsort((np.arange(len(tally.image)), place[tally.image]))
    order = np.empty(len(rows), dtype=np.int64)
    order[rows] = np.arange(len(rows))
    return order


def _members(found: Recalls) -> dict[str, list[int]]:
    """The columns that mean recall averages in thirds, the most frequent in gold first."""
    gold = _by_column(found, found.gold_counts.tolist())
    order = sorted(found.averaged, key=lambda c: (-gold[c], found.predicates[c]))
    members: dict[str, list[int]] = {}
    for place, column in enumerate(order):
        members.setdefault(GROUPS[place * len(GROUPS) // len(order)], []).append(column)
    return members


def _by_column(found: Recalls, by_name: Sequence[int] | Counter[int]) -> list[int]:
    """Counts by name id, gathered by predicate."""
    counts = [0] * len(found.predicates)
    for i, column in enumerate(found.column_of.tolist()):
        if column >= 0:
            counts[column] += int(by_name[i])
    return counts


def _predicate_rows(
    found: Recalls, tally: Tally, members: Mapping[str, Sequence[int]], cuts: Cuts
) -> list[dict[str, Any]]:
    """Each predicate with its group, counts and recalls, the most frequent in gold first."""
    gold, said, right = (
        _by_column(found, c) for c in (found.gold_counts.tolist(), tally.said, tally.right)
    )
    recalls = {_at("R", k): found.predicate_recalls("sgdet", k) for k in cuts}
    group_of = {column: group for group, columns in members.items() for column in columns}
    return [
        {
            "predicate": name,
            "group": group_of.get(column, ""),
            "gold": gold[column],
            "predicted": said[column],
            "correct": right[column],
            **{key: by_name.get(name, 0.0) for key, by_name in recalls.items()},
        }
        for column, name in sorted(enumerate(found.predicates), key=lambda p: (-gold[p[0]], p[1]))
    ]


def _groups(
    found: Recalls, members: Mapping[str, Sequence[int]], cuts: Cuts, noted: _Noted
) -> dict[str, dict[str, float]]:
    """Mean recall of each third."""
    gold = _by_column(found, found.gold_counts.tolist())
    groups: dict[str, dict[str, float]] = {}
    for group, columns in members.items():
        groups[group] = {"predicates": len(columns), "gold": sum(gold[c] for c in columns)}
        for k in cuts:
            estimate = found.mean_recall("sgdet", k, columns)
            groups[group][_at("mR", k)] = noted.value(f"{group} {_at('mR', k)}", estimate)
    return groups


def _found_by_image(found: Recalls, tally: Tally) -> dict[int, Any]:
    """By image what each of its completions hits, shape (completions, gold)."""
    hit = found.hits("sgdet", None)
    parts = np.split(hit, np.cumsum(np.bincount(tally.owner, minlength=len(tally.image)))[:-1])
    images: dict[int, list[Any]] = {}
    for image, part in zip(tally.image.tolist(), parts, strict=True):
        images.setdefault(image, []).append(part)
    return {image: np.stack(parts) for image, parts in images.items()}
