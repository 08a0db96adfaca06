"""How far a run has got, as its files tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sgg.files import read_json
from sgg.runs.folder import COMPLETIONS, CURVES, METRICS, PARTS, PROVENANCE, TOTAL, read_json_lines

_SHOWN = ("loss", "reward", "completion/failed")
_LATEST = 20
"""Rows that the last numbers are taken from: not every row has all."""


def starts(run_dir: Path) -> list[dict[str, Any]]:
    """Each start of the run, as its provenance has them."""
    record: dict[str, Any] = read_json(run_dir / PROVENANCE) or {"starts": []}
    starts: list[dict[str, Any]] = record["starts"]
    return starts


def progress(run_dir: Path) -> tuple[str, str, int]:
    """Step of total, last metrics, and restarts, as far as the run's files tell."""
    restarts = max(0, len(starts(run_dir)) - 1)
    if content := read_json(run_dir / METRICS):
        values = {k: content["metrics"][k] for k in ("R", "failure_rate")}
        return f"{content['completions']} completions", _numbers(values), restarts
    rows = read_json_lines(run_dir / CURVES)
    if rows:
        last: dict[str, Any] = {}
        for row in rows[-_LATEST:]:
            last |= row
        shown = {k: last[k] for k in _SHOWN if isinstance(last.get(k), (int, float))}
        return f"{last['step']}/{_total(run_dir)}", _numbers(shown), restarts
    whole = run_dir / COMPLETIONS  # the parts stay beside it
    parts = [whole] if whole.is_file() else (run_dir / PARTS).glob("*.jsonl")
    completions = sum(len(read_json_lines(path)) for path in parts)
    return (f"{completions} completions" if completions else ""), "", restarts


def _total(run_dir: Path) -> str:
    total = read_json(run_dir / TOTAL)
    return "?" if total is None else str(total["steps"])


def _numbers(values: dict[str, Any]) -> str:
    return " ".join(f"{k}={v:.3g}" for k, v in values.items())
