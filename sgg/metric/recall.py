"""Triplet recall and its relatives, over one image and over a data set.

Conventions (docs/metrics.md): a hit has three equal canonical labels and both IoU at or above the
threshold, plain areas; predictions rank in the order they were written; one prediction may hit several
gold relations (recall) but counts once (precision); an image without predictions scores 0; images
without gold relations are left out of recall; mean recall divides by every predicate of the
vocabulary, absent ones counting 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sgg.boxes import iou
from sgg.graph import SceneGraph
from sgg.match import triplet_hits
from sgg.vocab import canonical


@dataclass(frozen=True, slots=True)
class ImageHits:
    """What one answer found of one image's gold."""

    first_hit: tuple[int | None, ...]
    """For each gold relation the rank (from 0) of the first prediction that hits it."""
    gold_predicates: tuple[str, ...]
    """Canonical predicate of each gold relation."""
    correct: int
    """Predicted relations that hit some gold relation."""
    predicted: int
    objects_found: int
    """Gold objects with an equal name and a box at the threshold among the predicted ones."""
    objects: int


def image_hits(pred: SceneGraph, gold: SceneGraph, iou_threshold: float = 0.5) -> ImageHits:
    """Compare one answer with its gold; boxes of both in the same frame."""
    overlap = iou(pred.boxes_xyxy, gold.boxes_xyxy)
    hits = triplet_hits(pred, gold, overlap, iou_threshold)
    first = tuple(int(c.argmax()) if c.any() else None for c in hits.T)
    pred_names = np.array([canonical(n.name) for n in pred.nodes], dtype=object)
    gold_names = np.array([canonical(n.name) for n in gold.nodes], dtype=object)
    same = (pred_names[:, None] == gold_names[None, :]) & (overlap >= iou_threshold)
    return ImageHits(
        first_hit=first if gold.edges else (),
        gold_predicates=tuple(canonical(e.predicate) for e in gold.edges),
        correct=int(hits.any(axis=1).sum()),
        predicted=len(pred.edges),
        objects_found=int(same.any(axis=0).sum()),
        objects=len(gold.nodes),
    )


def image_recall(hits: ImageHits, k: int | None) -> float | None:
    """Share of the image's gold relations hit by its first k predictions; None without gold."""
    if not hits.first_hit:
        return None
    return sum(_within(r, k) for r in hits.first_hit) / len(hits.first_hit)


def recall(images: Iterable[ImageHits], k: int | None) -> float:
    """R@k: mean of image recalls over images that have gold relations; 0 if none has."""
    values = [r for r in (image_recall(hits, k) for hits in images) if r is not None]
    return float(np.mean(values)) if values else 0.0


def predicate_recalls(images: Iterable[ImageHits], k: int | None) -> dict[str, float]:
    """Per canonical predicate the mean over images of the recall among its gold relations."""
    values: dict[str, list[float]] = defaultdict(list)
    for hits in images:
        found: dict[str, list[bool]] = defaultdict(list)
        for predicate, rank in zip(hits.gold_predicates, hits.first_hit, strict=True):
            found[predicate].append(_within(rank, k))
        for predicate, flags in found.items():
            values[predicate].append(sum(flags) / len(flags))
    return {predicate: float(np.mean(v)) for predicate, v in sorted(values.items())}


def mean_recall(
    images: Iterable[ImageHits], k: int | None, predicates: Sequence[str] | None
) -> float:
    """mR@k: mean of the predicates' recalls over `predicates`, or over those in gold if None."""
    by_predicate = predicate_recalls(images, k)
    names = [canonical(p) for p in predicates] if predicates is not None else list(by_predicate)
    return sum(by_predicate.get(n, 0.0) for n in names) / len(names) if names else 0.0


def precision(images: Iterable[ImageHits]) -> float:
    """Correct predicted relations over all predicted relations of the data set; 0 if none."""
    counted = [(hits.correct, hits.predicted) for hits in images]
    predicted = sum(p for _, p in counted)
    return sum(c for c, _ in counted) / predicted if predicted else 0.0


def object_recall(images: Iterable[ImageHits]) -> float:
    """Found gold objects over all gold objects of the data set."""
    counted = [(hits.objects_found, hits.objects) for hits in images]
    total = sum(o for _, o in counted)
    return sum(f for f, _ in counted) / total if total else 0.0


def _within(rank: int | None, k: int | None) -> bool:
    return rank is not None and (k is None or rank < k)
