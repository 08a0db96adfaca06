"""The first screen of a report: what was run, the verdicts, the main metrics, what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sgg.config.stage import EvalConfig
from sgg.evaluation.comparison import CHANGES, Comparison
from sgg.evaluation.verdict import p_value, signed
from sgg.report.content.baseline import is_control
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.run import RunContent

_YEAR_S = 366 * 86_400
CONTROL = "another scene's image: chance"


@dataclass(frozen=True)
class Verdict:
    """One sentence about two runs."""

    text: str
    is_real: bool


@dataclass(frozen=True)
class ScoreRow:
    """The main metrics of one evaluation."""

    label: str
    recall: float
    low: float | None
    high: float | None
    mean_recall: float | None
    failure_rate: float | None
    ap50: float | None
    images: int
    note: str = ""
    is_best: bool = False
    """Whether no other run finds more; of runs that all find as much, none is the best."""
    difference: float | None = None
    difference_text: str = ""
    is_real: bool = False
    baseline: str = ""
    """Interval, p and the run that it is compared with."""


@dataclass(frozen=True)
class Count:
    """A number of images, and the filter of the gallery that shows them."""

    number: int
    filter: str = ""
    """JSON; empty where the gallery does not hold them."""


@dataclass(frozen=True)
class ChangeRow:
    """What became of the images in one run."""

    label: str
    baseline: str
    counts: list[Count] = field(default_factory=list)
    """In the order of `CHANGES`."""


def what_was_run(runs: Sequence[RunContent]) -> str:
    """Model, data, images, seeds, date and time in one line; what the runs share stands once."""
    configs = [run.config for run in runs]
    stages = _distinct(config.stage.name.name for config in configs)
    models = _distinct(config.choices.get("model", config.model.path) for config in configs)
    parameters = _distinct(run.parameters for run in runs)
    data = _distinct(config.choices.get("data", config.data.source.name) for config in configs)
    images = _distinct(f"{run.metrics.images:,}" for run in runs if run.metrics is not None)
    seeds = _distinct(str(config.seed) for config in configs)
    protocols = _distinct(c.protocol.id for c in configs if isinstance(c.stage, EvalConfig))
    parts = [
        " → ".join(stages) if len(runs) > 1 else stages[0],
        f"{', '.join(models)}{f' ({parameters[0]})' if len(parameters) == 1 else ''}",
        ", ".join(data) + (f", {images[0]} evaluated images" if len(images) == 1 else ""),
        f"protocol {', '.join(protocols)}" if protocols else "",
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}",
        *_when(runs),
    ]
    return " · ".join(part for part in parts if part)


def duration_text(seconds: float) -> str:
    """A time as people say it.

    >>> [duration_text(s) for s in (40, 560, 8000)]
    ['40 s', '9 min', '2 h 13 min']
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def verdicts(runs: Sequence[Evaluation]) -> list[Verdict]:
    """One sentence for each comparison but a control's; the last runs, which the others led to, first."""
    return [
        Verdict(run.comparison.verdict, run.comparison.main.is_real)
        for run in reversed(runs)
        if run.comparison is not None and not is_control(run.run.config)
    ]


def score_rows(runs: Sequence[RunContent], evaluations: Sequence[Evaluation]) -> list[ScoreRow]:
    """A row for each run with metrics."""
    by_label = {e.run.label: e for e in evaluations}
    rows = []
    for run in runs:
        content = run.metrics
        if content is None or "R" not in content.metrics:
            continue
        low, high = content.intervals.get("R") or (None, None)
        values = content.metrics
        found = by_label.get(run.label)
        rows.append(
            ScoreRow(
                run.label,
                values["R"],
                low,
                high,
                values.get("mR"),
                values.get("failure_rate"),
                values.get("AP50"),
                content.images,
                CONTROL if is_control(run.config) else "",
                **_difference(found.comparison if found else None),
            )
        )
    return _with_best(rows)


def _with_best(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows with the highest recall marked, as three digits show it; a control is never the best."""
    shown = [round(row.recall, 3) for row in rows if not row.note]
    if len(set(shown)) < 2:
        return list(rows)
    best = max(shown)
    return [replace(r, is_best=not r.note and round(r.recall, 3) == best) for r in rows]


def change_rows(runs: Sequence[Evaluation], in_gallery: Sequence[Evaluation]) -> list[ChangeRow]:
    """A row for each comparison but a control's, the last runs first."""
    places = {e.run.label: i for i, e in enumerate(in_gallery)}
    rows = []
    for run in reversed(runs):
        if run.comparison is None or is_control(run.run.config):
            continue
        place, counts = places.get(run.run.label), run.comparison.counts
        cells = [Count(counts[c], filter_of(place, change=c) if counts[c] else "") for c in CHANGES]
        rows.append(ChangeRow(run.run.label, run.comparison.before_name, cells))
    return rows


def filter_of(run: int | None, **wanted: str) -> str:
    """A filter of the gallery as JSON; empty for a run that it does not hold."""
    return "" if run is None else json.dumps({"run": run, **wanted})


def _difference(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None:
        return {}
    main = comparison.main
    return {
        "difference": main.difference,
        "difference_text": f"{signed(main.difference)} {'✓ real' if main.is_real else '≈ unclear'}",
        "is_real": main.is_real,
        "baseline": f"[{signed(main.low)}, {signed(main.high)}], {p_value(main.p)}, "
        f"to {comparison.before_name}",
    }


def _when(runs: Sequence[RunContent]) -> Iterator[str]:
    """When the first run began, and the time up to the last that is known of any, pauses included."""
    times = []
    for run in runs:
        for start in run.starts:
            with suppress(ValueError):
                times.append(datetime.fromisoformat(start.time).replace(tzinfo=UTC))
        trained = [row["speed/training_s"] for row in run.curves if "speed/training_s" in row]
        if times and trained and isinstance(trained[-1], (int, float)) and trained[-1] < _YEAR_S:
            times.append(times[-1] + timedelta(seconds=float(trained[-1])))
    if times:
        yield f"begun {min(times):%Y-%m-%d %H:%M} UTC"
        seconds = (max(times) - min(times)).total_seconds()
        if seconds:
            yield duration_text(seconds)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
