"""Average precision of the boxes, by COCO's own evaluator (pycocotools).

Text models write no scores, so all score 1. Annotation ids start at 1: pycocotools takes id 0 for
"unmatched", which cost the reference's evaluator a hit. Classes are canonical names.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgg.graph import SceneGraph
from sgg.vocab import canonical


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Mean over classes that gold holds."""

    ap: float
    """Mean over IoU .5:.05:.95."""
    ap50: float


def average_precision(
    pairs: Sequence[tuple[SceneGraph, SceneGraph]],
) -> AveragePrecision:
    """AP of predicted boxes over a data set; `pairs` holds (pred, gold) of each image."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    classes: dict[str, int] = {}
    gold_rows: list[dict[str, object]] = []
    pred_rows: list[tuple[int, SceneGraph]] = []
    for image, (pred, gold) in enumerate(pairs, start=1):
        for node in gold.nodes:
            category = classes.setdefault(canonical(node.name), len(classes) + 1)
            row = _row(image, category, node.box)
            gold_rows.append(row | {"id": len(gold_rows) + 1, "iscrowd": 0})
        pred_rows.append((image, pred))
    if not gold_rows:
        return AveragePrecision(0.0, 0.0)
    detections = [
        _row(image, classes[canonical(node.name)], node.box) | {"score": 1.0}
        for image, pred in pred_rows
        for node in pred.nodes
        if canonical(node.name) in classes
    ]
    if not detections:
        return AveragePrecision(0.0, 0.0)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image, _ in pred_rows],
        "categories": [{"id": c} for c in classes.values()],
        "annotations": gold_rows,
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        precision = evaluator.eval["precision"]  # (IoU, recall, class, area, limit); -1: no gold
    full, half = precision[:, :, :, 0, -1], precision[0, :, :, 0, -1]
    return AveragePrecision(_mean(full), _mean(half))


def _row(image: int, category: int, box: Sequence[float]) -> dict[str, object]:
    width, height = box[2] - box[0], box[3] - box[1]
    xywh = [box[0], box[1], width, height]
    return {"image_id": image, "category_id": category, "bbox": xywh, "area": width * height}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else 0.0
