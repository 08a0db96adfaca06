"""Predictions against gold: one path for `stage=eval` and `sgg score`, without a model.

Input: predictions, a prepared split and a protocol. Output: a `Scored`, which is written as
metrics.json, per_predicate.csv, failures.jsonl and per_image.json. Images are read, scored and dropped chunk
by chunk, in worker processes where that pays; the numbers do not depend on how many.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sgg.config.literal import plain
from sgg.data.prepared_split import Prepared
from sgg.data.workers import forked
from sgg.errors import SggError
from sgg.evaluation.predictions import Predictions
from sgg.files import make_output_folder, whole_file, write_json, write_whole
from sgg.metrics.found import Found, found_relations
from sgg.metrics.recall import Estimate
from sgg.metrics.summary import Summary, summarise
from sgg.metrics.tally import Builder, Tally, Task, join
from sgg.runs.folder import METRICS, PER_IMAGE
from sgg.runs.records import PerImage
from sgg.text.codec import ErrorKind, GraphSpec

PER_PREDICATE, FAILURES = "per_predicate.csv", "failures.jsonl"
RECALL = "R"
"""Triplet recall without a cutoff: the metric by which runs are compared."""
CHUNK = 128
"""Images that a process scores at a time."""
FEW = 1000
"""Images below which starting processes costs more than it saves."""
_TEXT_SHOWN = 400

Failure = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """What an evaluation found."""

    content: dict[str, Any]
    """What metrics.json holds."""
    predicates: list[dict[str, Any]]
    """Rows of per_predicate.csv."""
    failures: list[Failure]
    """Predictions that failed as a whole, with their problems and the start of the text."""
    estimates: dict[str, Estimate]
    """Per image, for paired tests."""
    found: Found
    """Which gold relations were found."""

    def write(self, folder: Path) -> list[Path]:
        """Write the four files; returns their paths."""
        make_output_folder(folder)
        write_json(folder / METRICS, self.content)
        with whole_file(folder / PER_PREDICATE, newline="") as file:
            fields = list(self.predicates[0]) if self.predicates else ["predicate"]
            table = csv.DictWriter(file, fields)
            table.writeheader()
            table.writerows({k: csv_cell(v) for k, v in row.items()} for row in self.predicates)
        with whole_file(folder / FAILURES) as file:
            file.writelines(json.dumps(row) + "\n" for row in self.failures)
        write_whole(folder / PER_IMAGE, json.dumps(msgspec.to_builtins(self.per_image())) + "\n")
        return [folder / name for name in (METRICS, PER_PREDICATE, FAILURES, PER_IMAGE)]

    def per_image(self) -> PerImage:
        """What per_image.json holds."""
        recall, found = self.estimates[RECALL], self.found
        images = len(found.image_ids)
        return PerImage(
            found.image_ids,
            recall.numerator[:, 0].tolist(),
            recall.denominator[:, 0].tolist(),
            np.bincount(found.image, minlength=images).tolist(),
            np.bincount(found.image, weights=found.share, minlength=images).tolist(),
            found.failed.tolist(),
        )


def csv_cell(value: Any) -> Any:
    """What stands in a CSV file: a name never begins as a formula does (OWASP, CSV injection)."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def score(
    predictions: Predictions, prepared: Prepared, spec: GraphSpec, task: Task, workers: int = 0
) -> Scored:
    """Score all predictions against a split, by the task's protocol.

    An image of the split without a prediction counts as a failure; with several predictions per image each
    counts, and images are resampled whole.

    Args:
        workers: processes; 0 for one per core where there are many images.

    Raises:
        SggError: the file holds predictions for images that are not in the split.

    """
    ids = prepared.image_ids
    strangers = sorted(set(predictions.by_image) - set(ids))
    if strangers:
        raise SggError(
            f"{predictions.path}: {len(strangers)} images, such as {strangers[0]}, are not in the "
            "split that they are scored against. Check data and its limits."
        )
    tallies, failures = [], []
    job = _Job(predictions, prepared, spec, task)
    chunks = [range(i, min(i + CHUNK, len(ids))) for i in range(0, len(ids), CHUNK)]
    workers = workers or (0 if len(ids) >= FEW else 1)
    for tally, failed in forked(partial(_tally_chunk, job), chunks, workers):
        tallies.append(tally)
        failures += failed
    whole = join(tallies)
    summary = summarise(whole, task, ids)
    content = {"protocol": plain(task.protocol), **_content(summary, whole, len(ids))}
    found = found_relations(whole, ids)
    return Scored(content, summary.predicates, failures, summary.estimates, found)


def _content(summary: Summary, tally: Tally, images: int) -> dict[str, Any]:
    kinds = tally.problems_items
    return {
        "images": images,
        "completions": len(tally.image),
        "images_with_relations": len(np.unique(tally.image[tally.owner])),
        "gold_relations": summary.gold_relations,
        "metrics": summary.values,
        "mapped": summary.mapped,
        "several": summary.several,
        "intervals": summary.intervals,
        "groups": summary.groups,
        "problems": {
            k: {"completions": tally.problems_completions[k], "items": kinds[k]}
            for k in ("no_completion", *(kind.value for kind in ErrorKind))
            if kinds[k]
        },
        "recall_per_predicate": {r["predicate"]: r["R"] for r in summary.predicates if r["gold"]},
    }


@dataclass(frozen=True)
class _Job:
    """What is scored against what."""

    predictions: Predictions
    prepared: Prepared
    spec: GraphSpec
    task: Task


def _tally_chunk(job: _Job, indices: range) -> tuple[Tally, list[Failure]]:
    builder, failures = Builder(job.task, first=indices.start == 0), []
    for index, gold in zip(indices, job.prepared.golds(indices), strict=True):
        image_id, size = gold["image_id"], (gold["width"], gold["height"])
        found = job.predictions.parsed(image_id, job.spec, *size)
        stored = job.predictions.by_image.get(image_id, [])
        places = [row.index for row in stored] or [0]
        for place, (parsed, text) in zip(places, found, strict=True):
            builder.add(index, parsed, gold["graph"])
            if parsed is None or parsed.failure is not None:
                kind = "no_completion" if parsed is None else parsed.failure.value  # type: ignore[union-attr]
                problems = [] if parsed is None else parsed.problems
                failures.append(
                    {
                        "image_id": image_id,
                        "index": place,
                        "kind": kind,
                        "problems": [f"{p.kind.value} {p.item}".strip() for p in problems],
                        "text": text[:_TEXT_SHOWN],
                    }
                )
    return builder.tally(), failures
