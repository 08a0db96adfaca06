"""Evaluators that protocols are named for, each in plain loops again; nothing of `sgg.metrics` is used.

The sources: KaihuaTang/Scene-Graph-Benchmark.pytorch (`vg_eval.py`, `sgg_eval.py`), R1-SGG's copy of it,
Jingkang50/OpenPSG (`sgg_eval.py`, `sgg_metrics.py`), sgbench 1.0.0.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """Gold and completion of one image: names, boxes, relations as (subject, object, predicate)."""

    names: list[str]
    boxes: list[list[float]]
    relations: list[tuple[int, int, str]]
    said_names: list[str]
    said_boxes: list[list[float]]
    said: list[tuple[int, int, str]]
    """In order; a row without any score names the first predicate, as an argmax does."""
    has_prediction: bool = True
    failed: bool = False
    """Whether the gathering wrote a placeholder."""


def overlap(a, b, extra=0.0):
    """IoU; `extra` is added to every side."""
    w = min(a[2], b[2]) - max(a[0], b[0]) + extra
    h = min(a[3], b[3]) - max(a[1], b[1]) + extra
    inter = max(w, 0) * max(h, 0)
    areas = [(x2 - x1 + extra) * (y2 - y1 + extra) for x1, y1, x2, y2 in (a, b)]
    return inter / (sum(areas) - inter)


def around(a, b):
    return [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]


def reached(image, relations, gold, extra, union=False):
    """Indices of gold relations that any of the relations hits; one may hit several."""
    found = set()
    for s, o, p in relations:
        for index, (gs, go, gp) in enumerate(gold):
            labels = image.said_names[s], image.said_names[o], p
            if labels != (image.names[gs], image.names[go], gp):
                continue
            a, b = image.said_boxes[s], image.said_boxes[o]
            c, d = image.boxes[gs], image.boxes[go]
            if union:
                fits = overlap(around(a, b), around(c, d), extra) >= 0.5
            else:
                fits = overlap(a, c, extra) >= 0.5 and overlap(b, d, extra) >= 0.5
            if fits:
                found.add(index)
    return found


def mean(values):
    """0 of nothing."""
    return sum(values) / len(values) if values else 0.0


class Sums:
    """What Neural Motifs' evaluators average: recall, and recall by predicate, of each image."""

    def __init__(self):
        self.recalls, self.unseen, self.by_predicate = [], [], {}

    def add(self, gold, found, unseen=()):
        self.recalls.append(len(found) / len(gold))
        if unseen:
            self.unseen.append(len(found & set(unseen)) / len(unseen))
        for name in {p for _, _, p in gold}:
            mine = {i for i, (_, _, p) in enumerate(gold) if p == name}
            self.by_predicate.setdefault(name, []).append(len(found & mine) / len(mine))

    def mean_over(self, predicates):
        """Predicates that gold never shows count 0."""
        return mean([mean(self.by_predicate.get(name, [0.0])) for name in predicates])


def motifs(images, predicates, unseen, k):
    """(R, mR, zR, ng-R, ng-mR, ng-zR)@k of Kaihua Tang's evaluator, and of R1-SGG's.

    Boxes are one pixel wider, rows rank as given, gold is as annotated, images without a predicted relation
    are passed over. ng: all predicates of all rows by score, the first 100; equal scores in their order.
    """
    plain, several = Sums(), Sums()
    for image in images:
        if not image.relations or not image.said:
            continue
        new = [
            i
            for i, (s, o, p) in enumerate(image.relations)
            if (image.names[s], image.names[o], p) in unseen
        ]
        plain.add(image.relations, reached(image, image.said[:k], image.relations, 1.0), new)
        rest = [(s, o, q) for s, o, p in image.said for q in predicates if q != p]
        ranked = (image.said + rest)[:100][:k]
        several.add(image.relations, reached(image, ranked, image.relations, 1.0), new)
    return [
        value
        for sums in (plain, several)
        for value in (mean(sums.recalls), sums.mean_over(predicates), mean(sums.unseen))
    ]


def coco(images, classes, extra, first_id):
    """(AP50, AP) by pycocotools' own path: every image, annotations numbered from `first_id`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [box[0], box[1], box[2] - box[0] + extra, box[3] - box[1] + extra]

    annotations, detections = [], []
    for index, image in enumerate(images):
        for name, box in zip(image.names, image.boxes, strict=True):
            x, y, w, h = xywh(box)
            row = {"id": first_id + len(annotations), "image_id": index, "iscrowd": 0}
            row |= {"bbox": [x, y, w, h], "area": w * h, "category_id": classes.index(name)}
            annotations.append(row)
        detections += [
            {"image_id": index, "bbox": xywh(box), "score": 1.0, "category_id": classes.index(name)}
            for name, box in zip(image.said_names, image.said_boxes, strict=True)
        ]
    gold = COCO()
    gold.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(images))],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        gold.createIndex()
        evaluator = COCOeval(gold, gold.loadRes(detections), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[1], evaluator.stats[0]


def openpsg(images, predicates, k, skips, union=False):
    """(R, mR)@k of OpenPSG's evaluator by boxes: plain areas, gold's repeated relations once.

    Its two-stage models name a pair once, so the first predicate of each pair ranks. `skips`: as it does,
    images without a predicted relation are passed over; else they count 0.
    """
    sums = Sums()
    for image in images:
        gold = list(dict.fromkeys(image.relations))
        if not gold or (skips and not image.said):
            continue
        first = {}
        for s, o, p in image.said:
            first.setdefault((s, o), p)
        ranked = [(s, o, p) for (s, o), p in first.items()][:k]
        sums.add(gold, reached(image, ranked, gold, 0.0, union))
    return mean(sums.recalls), sums.mean_over(predicates)


def sgbench(images, k):
    """(R, mR)@k of SGBench 1.0.0, and how many predicates its mean is over.

    A predicted object stands for the gold object of its class that it overlaps most, from IoU .5 on. A
    relation stated twice of the same two objects counts once, gold's as well. An image that the predictions
    lack has recall 0, but no part in mean recall (its zeros are added to NaN).
    """
    recalls, by_predicate = [], {}
    for image in images:
        gold = set(image.relations)
        if not gold:
            continue
        if not image.has_prediction:
            recalls.append(0.0)
            continue
        stands = []
        for name, box in zip(image.said_names, image.said_boxes, strict=True):
            best, most = None, 0.0
            for index, other in enumerate(image.names):
                if other == name and overlap(box, image.boxes[index]) > most:
                    best, most = index, overlap(box, image.boxes[index])
            stands.append(best if most >= 0.5 else None)
        said = [] if image.failed else list(dict.fromkeys(image.said))[:k]
        found = {(stands[s], stands[o], p) for s, o, p in said} & gold
        recalls.append(len(found) / len(gold))
        for name in {p for _, _, p in gold}:
            mine = {t for t in gold if t[2] == name}
            by_predicate.setdefault(name, []).append(len(found & mine) / len(mine))
    return mean(recalls), mean([mean(v) for v in by_predicate.values()]), len(by_predicate)
