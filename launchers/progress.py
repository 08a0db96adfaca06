"""How far a run has got, as its files tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sgg.run import COMPLETIONS, CURVES, METRICS, PARTS, PROVENANCE, TOTAL, read_json_lines

_SHOWN = ("loss", "reward", "answers/failed")
_LATEST = 20
"""Rows that the last numbers are taken from: not every row has all."""


def starts(run_dir: Path) -> list[dict[str, Any]]:
    """Each start of the run, as its provenance has them."""
    path = run_dir / PROVENANCE
    return json.loads(path.read_text())["starts"] if path.is_file() else []


def progress(run_dir: Path) -> tuple[str, str, int]:
    """Step of total, last metrics, and restarts, as far as the run's files tell."""
    restarts = max(0, len(starts(run_dir)) - 1)
    metrics = run_dir / METRICS
    if metrics.is_file():
        content = json.loads(metrics.read_text())
        values = {k: content["metrics"][k] for k in ("R", "failure_rate")}
        return f"{content['answers']} answers", _numbers(values), restarts
    rows = read_json_lines(run_dir / CURVES)
    if rows:
        last: dict[str, Any] = {}
        for row in rows[-_LATEST:]:
            last |= row
        shown = {k: last[k] for k in _SHOWN if isinstance(last.get(k), (int, float))}
        return f"{last['step']}/{_total(run_dir)}", _numbers(shown), restarts
    whole = run_dir / COMPLETIONS  # the parts stay beside it
    parts = [whole] if whole.is_file() else (run_dir / PARTS).glob("*.jsonl")
    answers = sum(len(read_json_lines(path)) for path in parts)
    return (f"{answers} answers" if answers else ""), "", restarts


def _total(run_dir: Path) -> str:
    path = run_dir / TOTAL
    return str(json.loads(path.read_text())["steps"]) if path.is_file() else "?"


def _numbers(values: dict[str, Any]) -> str:
    return " ".join(f"{k}={v:.3g}" for k, v in values.items())
