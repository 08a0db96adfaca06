"""Average precision of the boxes, matched and accumulated by COCO's own evaluator (pycocotools).

Two steps, so that images need not be held: `match_boxes` lets pycocotools match the boxes of a chunk of
images and keeps ten bits a detection; `average_precision` lets it accumulate them. Text models write
no scores, so all score alike and rank by image order. Annotation ids start at 1 unless a protocol says
otherwise: pycocotools takes id 0 for "unmatched", which cost the reference's evaluator a hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgg.config.protocol import BoxArea, ProtocolConfig
from sgg.metrics.arrays import GraphArrays, Ints

MAX_DETECTIONS = 100
"""Boxes of one class in one image that count: COCO's own limit."""
_ALIKE = dict.fromkeys(("area", "iscrowd", "ignore", "score"), 0)
"""What COCO tells boxes apart by and this project does not: all sizes count, and all score alike."""


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Mean over classes that gold holds."""

    ap: float
    """Mean over IoU .5:.05:.95."""
    ap50: float


@dataclass(frozen=True, slots=True)
class Detections:
    """Matched boxes of some images."""

    owner: Ints
    """Row of the prediction that each detection is from."""
    labels: Ints
    """Its class, by name id."""
    matched: NDArray[np.uint16]
    """Bit t: whether it is matched at the t-th IoU threshold."""
    gold: dict[int, int]
    """Gold boxes by class."""


def match_boxes(
    images: Sequence[tuple[int, GraphArrays, GraphArrays, bool]], protocol: ProtocolConfig
) -> Detections:
    """Match the boxes of images.

    Args:
        images: prediction row, pred, gold, and whether the split's very first gold box is among them.

    """
    from pycocotools.cocoeval import COCOeval

    evaluator = COCOeval(iouType="bbox")
    extra = 1.0 if protocol.coco_box_area is BoxArea.plus_one else 0.0
    owner: list[int] = []
    labels: list[int] = []
    matched: list[NDArray[np.uint16]] = []
    gold_counts: dict[int, int] = {}
    every_size, *_ = evaluator.params.areaRng
    bits = (1 << np.arange(len(evaluator.params.iouThrs))).astype(np.uint16)
    for row, pred, gold, first in images:
        gold_of, pred_of = _by_class(gold, extra), _by_class(pred, extra)
        start = protocol.coco_first_id if first else 1  # ids need to differ within an image only
        for label in sorted({*gold_of, *pred_of}):
            g, d = gold_of.get(label, []), pred_of.get(label, [])
            gold_counts[label] = gold_counts.get(label, 0) + len(g)
            if not d:
                continue
            kept = min(len(d), MAX_DETECTIONS)
            owner += [row] * kept
            labels += [label] * kept
            found = np.zeros(kept, dtype=np.uint16)
            if g:
                evaluator._gts[row, label] = [
                    {"id": start + i, "bbox": box, **_ALIKE} for i, box in g
                ]
                evaluator._dts[row, label] = [
                    {"id": n, "bbox": box, **_ALIKE} for n, (_, box) in enumerate(d, start=1)
                ]
                evaluator.ious = {(row, label): evaluator.computeIoU(row, label)}
                result = evaluator.evaluateImg(row, label, every_size, MAX_DETECTIONS)
                found = ((result["dtMatches"] > 0) * bits[:, None]).sum(axis=0).astype(np.uint16)
                del evaluator._gts[row, label], evaluator._dts[row, label]
            matched.append(found)
    return Detections(
        np.array(owner, dtype=np.int64),
        np.array(labels, dtype=np.int64),
        np.concatenate(matched) if matched else np.zeros(0, dtype=np.uint16),
        gold_counts,
    )


def average_precision(found: Detections, order: Ints | None = None) -> AveragePrecision:
    """AP of all detections; `order` is the rank of each prediction row, the rows' own order if None."""
    from pycocotools.cocoeval import COCOeval

    classes = sorted(c for c, n in found.gold.items() if n)
    if not classes:
        return AveragePrecision(0.0, 0.0)
    evaluator = COCOeval(iouType="bbox")
    thresholds = len(evaluator.params.iouThrs)
    rows = found.owner if order is None else order[found.owner]
    sequence = np.lexsort((rows, found.labels))
    labels = found.labels[sequence]
    flags = (found.matched[sequence][None] >> np.arange(thresholds)[:, None]) & 1
    evaluator.evalImgs = []
    for label in classes:  # each class stands as one image: matching is done, only order counts now
        low, high = np.searchsorted(labels, [label, label + 1])
        matched = flags[:, low:high]
        evaluator.evalImgs.append(
            {
                "dtScores": np.zeros(matched.shape[1]),
                "dtMatches": matched,
                "dtIgnore": np.zeros_like(matched),
                "gtIgnore": np.zeros(found.gold[label]),
            }
        )
    params = evaluator.params
    params.imgIds, params.catIds, params.maxDets = ["all"], classes, [len(labels)]
    params.areaRng = params.areaRng[:1]
    evaluator._paramsEval = params
    with _quiet():
        evaluator.accumulate()
    precision = evaluator.eval["precision"]  # (IoU, recall, class, area, limit)
    return AveragePrecision(float(precision.mean()), float(precision[0].mean()))


def _by_class(graph: GraphArrays, extra: float) -> dict[int, list[tuple[int, list[float]]]]:
    """(index, xywh) of the boxes of each class."""
    found: dict[int, list[tuple[int, list[float]]]] = {}
    xywh = graph.boxes.copy()
    xywh[:, 2:] += extra - xywh[:, :2]
    for index, (label, box) in enumerate(zip(graph.labels.tolist(), xywh.tolist(), strict=True)):
        found.setdefault(label, []).append((index, box))
    return found


def _quiet() -> Any:
    """Keep pycocotools' progress from the terminal."""
    import contextlib
    import io

    return contextlib.redirect_stdout(io.StringIO())
