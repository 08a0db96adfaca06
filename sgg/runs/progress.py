"""How far a run has got, as its files tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from sgg.files import LINE_BYTES, LINES_BYTES, converted, opened
from sgg.runs.folder import COMPLETIONS, CURVES, PARTS, read_json_lines
from sgg.runs.records import read_best, read_metrics, read_starts, read_total

_Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Curve = dict[str, _Whole | float | str]
"""A row of metrics.jsonl: `step`, and each logged number by its name, one that is not finite as text."""

_SCORES = ("R", "failure_rate")
_SHOWN = {"loss": "loss", "reward/total/mean": "reward", "completion/failed": "failed"}
"""Numbers of a training, and what they are called in a line."""
_LONGEST = 80
"""Characters of a metric's name that are shown."""
_LATEST = 20
"""Rows that the last numbers are taken from: not every row has all."""


def read_curves(run_dir: Path) -> list[Curve]:
    """The rows of metrics.jsonl.

    Raises:
        SggError: one is of another form, or the file cannot be read.

    """
    path = run_dir / CURVES
    rows = read_json_lines(path)
    return [converted(row, Curve, f"{path}, line {n}") for n, row in enumerate(rows, 1)]


def last_value(run_dir: Path, name: str) -> float | None:
    """The last value of a training's number; None where it has none, or one that is not finite.

    Raises:
        SggError: a row of metrics.jsonl is of another form, or the file cannot be read.

    """
    found = [row[name] for row in read_curves(run_dir) if name in row]
    if not found or isinstance(found[-1], str) or not math.isfinite(found[-1]):
        return None
    return float(found[-1])


def progress(run_dir: Path) -> tuple[str, str, int]:
    """Step of total, last metrics, and restarts, as far as the run's files tell.

    Raises:
        SggError: one of them is of another form, or cannot be read.

    """
    restarts = max(0, len(read_starts(run_dir)) - 1)
    if content := read_metrics(run_dir):
        kept = {k: v for k in _SCORES if (v := content.metrics.get(k)) is not None}
        return f"{content.completions} completions", _numbers(kept), restarts
    rows = read_curves(run_dir)
    if rows:
        last: Curve = {}
        for row in rows[-_LATEST:]:
            last |= row
        shown = {
            word: number
            for name, word in _SHOWN.items()
            if not isinstance(number := last.get(name, ""), str)
        }
        total = read_total(run_dir)
        steps = f"{last.get('step', '?')}/{'?' if total is None else total}"
        numbers = ", ".join(filter(None, [_numbers(shown), _evaluated(run_dir, rows)]))
        return steps, numbers, restarts
    whole = run_dir / COMPLETIONS  # the parts stay beside it
    parts = [whole] if whole.is_file() else (run_dir / PARTS).glob("*.jsonl")
    completions = sum(map(_count_lines, parts))
    return (f"{completions} completions" if completions else ""), "", restarts


def _evaluated(run_dir: Path, rows: Sequence[Curve]) -> str:
    """The last value and the best one of the metric that a training's checkpoint is kept by, or of recall."""
    best = read_best(run_dir)
    metric = "R" if best is None else best.metric
    last = next((row for row in reversed(rows) if f"eval/{metric}" in row), None)
    if last is None:
        return ""
    value = last[f"eval/{metric}"]  # one that is not finite stands there as text
    number = value[:4] if isinstance(value, str) else f"{value:.3g}"
    known = "" if best is None else f", best {best.value:.3g} at step {best.step}"
    shown = " ".join(metric[:_LONGEST].split())  # which stands in one line, whoever wrote best.json
    return f"eval {shown}={number} at step {last['step']}{known}"


def _count_lines(path: Path) -> int:
    """Whole lines of a file, of its first GiB."""
    with opened(path, "rb") as file:
        blocks = iter(partial(file.read, LINE_BYTES), b"")
        return sum(block.count(b"\n") for block in islice(blocks, LINES_BYTES // LINE_BYTES))


def _numbers(values: Mapping[str, float]) -> str:
    return " ".join(f"{k}={v:.3g}" for k, v in values.items())
