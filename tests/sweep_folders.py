"""Folders of sweeps and runs with results as written by hand: no model, no images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.config.schema import Config
from sgg.runs.signature import sign_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord

METRICS = {"failure_rate": 0.0, "R": 0.0, "mR": 0.0, "AP50": 0.0}


@cache
def _composed(*words: str) -> Config:
    """Composing takes longer than all else in these tests."""
    return compose_config([*words])


def evaluated_run(
    folder: Path,
    words: Sequence[str],
    recalls: Sequence[float] | None,
    intervals: dict[str, list[float]] | None = None,
    **metrics: float,
) -> Path:
    """A run folder; `recalls` by image (None for no results), R their mean, other metrics as named."""
    folder.mkdir(parents=True)
    config = deepcopy(_composed("stage=eval", *words))
    config.paths.run_dir = str(folder)
    write_frozen(config, folder / "config.yaml")
    sign_run(folder)
    if recalls is None:
        return folder
    content = {
        "images": len(recalls),
        "completions": len(recalls),
        "images_with_relations": len(recalls),
        "gold_relations": len(recalls),
        "metrics": {**METRICS, "R": sum(recalls) / len(recalls), **metrics},
        "intervals": intervals or {},
        "problems": {},
        "recall_per_predicate": {},
        "protocol": {"id": "shapes"},
    }
    by_image = {
        "image_ids": [str(i) for i in range(len(recalls))],
        "recall_sum": [*recalls],
        "recall_count": [1] * len(recalls),
        "gold": [1] * len(recalls),
        "found": [*recalls],
        "failed": [0] * len(recalls),
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    (folder / "per_image.json").write_text(json.dumps(by_image))
    (folder / "exit.json").write_text('{"state": "finished", "code": 0, "reason": ""}')
    return folder


def trained_run(
    folder: Path, words: Sequence[str], rows: Sequence[dict[str, float]], state: str = "finished"
) -> Path:
    """A run folder of a training that logged `rows`."""
    folder.mkdir(parents=True)
    config = deepcopy(_composed(*words))
    config.paths.run_dir = str(folder)
    write_frozen(config, folder / "config.yaml")
    sign_run(folder)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ending = {"state": state, "code": int(state != "finished"), "reason": ""}
    (folder / "exit.json").write_text(json.dumps(ending))
    return folder


def sweep_of_points(
    folder: Path, points: Sequence[Sequence[str]], steps: Sequence[str] = ("eval",)
) -> Path:
    """The record of a sweep, signed, whose runs lie in points/N or points/N/STEP and are not made here."""
    records = [PointRecord(f"{i:03}_{'-'.join(words)}", [*words]) for i, words in enumerate(points)]
    several = len(steps) > 1
    runs = [
        RunRecord(i, step, None, f"points/{i}/{step}" if several else f"points/{i}")
        for i in range(len(points))
        for step in steps
    ]
    folder.mkdir(parents=True, exist_ok=True)
    record = SweepRecord("local", 1, "/", "now", ["stage=eval", "paths.sweep_dir=x"], records, runs)
    record.write(folder)
    record.sign(folder)
    return folder
