"""A snapshot as text, for a terminal or a file; what would steer a terminal is taken out of all text."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sgg.terminal import without_controls
from sgg.tracking.names import entry_of
from sgg.watch.run_files import RunFacts, Sample
from sgg.watch.series import Series, sparkline
from sgg.watch.snapshot import Row, RunView, Snapshot, duration, main_number, number

_COLORS = {"running": "green", "starting": "cyan", "queued": "yellow", "finished": "bold green"}
_ALARM = "bold red"
_METRICS = {"R": "triplet recall", "mR": "mean recall", "failure_rate": "failure rate"}
_STATE, _OVERRIDES, _REASON = 1, 4, 5
_WHOLE = (0, 1, 2, 3)
"""Columns of a list of runs; these are never cut."""
_SHORTEST = 12
_SAMPLE_LINES = 4
_LONGEST, _LONGEST_SAMPLE = 1000, 4000
"""Characters of a text that are looked at."""


def plain(text: str, longest: int = _LONGEST) -> str:
    """The beginning of a text in one line, without what would steer a terminal."""
    return " ".join(without_controls(text[:longest]).split())


def screen(snapshot: Snapshot, width: int, height: int | None = None) -> RenderableType:
    """The whole look.

    Args:
        width: characters of a line.
        height: lines that there are room for; None for as many as it takes.

    """
    parts: list[RenderableType] = []
    if snapshot.rows:
        parts.append(Text(plain(snapshot.folder), style="bold"))
    if snapshot.rows:
        room = None if height is None else max(3, height // 3 if snapshot.run else height - 6)
        parts += _rows(snapshot, width, room)
        height = None if height is None or room is None else height - min(room, len(snapshot.rows))
    if snapshot.run is not None:
        if snapshot.rows:
            parts.append(Text())
        parts += _run(snapshot.run, width, height)
    if snapshot.note:
        parts.append(Text(plain(snapshot.note), style="yellow"))
    if snapshot.resume:
        parts.append(Text(f"Resume with: {plain(snapshot.resume)}"))
    return Group(*parts)


def _rows(snapshot: Snapshot, width: int, room: int | None) -> list[RenderableType]:
    counts = Counter(row.run.state for row in snapshot.rows)
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    first = 0
    if room is not None and snapshot.chosen is not None:
        first = max(0, snapshot.chosen - room + 1)
    shown = snapshot.rows[first:] if room is None else snapshot.rows[first : first + room]
    more = len(snapshot.rows) - len(shown)
    parts: list[RenderableType] = [Text(said + (f" ({more} not shown)" if more else ""))]
    cells = [
        [_label(row, place == snapshot.chosen), *_cells(row)]
        for place, row in enumerate(shown, first)
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    spare = max(_SHORTEST, width - sum(widths[column] + 2 for column in _WHOLE) - 2)
    widths[_OVERRIDES] = min(widths[_OVERRIDES], spare - min(widths[_REASON], spare // 3))
    widths[_REASON] = spare - widths[_OVERRIDES]
    for row, line in zip(shown, cells, strict=True):
        words = [
            _cut(cell, length).ljust(length) for cell, length in zip(line, widths, strict=True)
        ]
        color = _COLORS.get(row.run.state, _ALARM)
        styled = [Text(word, color if place == _STATE else "") for place, word in enumerate(words)]
        parts.append(Text("  ", no_wrap=True, overflow="crop").join(styled))
    return parts


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _label(row: Row, is_chosen: bool) -> str:
    return f"{'›' if is_chosen else ' '} {plain(row.label)}"


def _cells(row: Row) -> list[str]:
    """State, progress, number, overrides, and the reason."""
    reason = "" if row.run.state == "finished" else plain(row.run.reason)
    facts = row.run.facts
    return [row.run.state, _done(facts), main_number(facts), plain(row.overrides), reason]


def _run(run: RunView, width: int, height: int | None) -> list[RenderableType]:
    facts = run.facts
    parts: list[RenderableType] = [_head(run)]
    if run.where:
        parts.append(Text(f"  {plain(run.where)}", style="dim"))
    if facts.progress is not None:
        parts += _progress(run, width)
    if facts.metrics is not None:
        parts += _metrics(facts)
    room = None if height is None else max(3, height - 19)
    parts += _curves(facts.curves, width, room)
    if facts.checkpoint is not None:
        name, age_s = facts.checkpoint
        parts.append(Text(f"newest checkpoint: {plain(name)}, {duration(age_s)} ago"))
    if facts.best is not None:
        best, last = facts.best
        named = (
            f"best checkpoint: {plain(best.checkpoint)}, {plain(best.metric)} {number(best.value)}"
        )
        parts.append(Text(f"{named}; last evaluation {plain(number(last))}"))
    if facts.sample is not None:
        parts += _sample(facts.sample, width)
    if run.said:
        parts.append(Text(f"{plain(run.log)}: {plain(run.said)}", style=_ALARM))
    elif run.log:
        parts.append(Text(f"log: {plain(run.log)}", style="dim"))
    parts += [Text(plain(note), style="yellow") for note in facts.notes]
    return parts


def _head(run: RunView) -> Text:
    words = [plain(run.name), run.facts.stage, plain(run.facts.model)]
    text = Text(" · ".join(filter(None, dict.fromkeys(words))), style="bold")
    text.append(" · ").append(run.state, style=_COLORS.get(run.state, _ALARM))
    if run.reason:
        text.append(f" ({plain(run.reason)})", style="not bold")
    if run.facts.restarts:
        text.append(f" · restarts: {run.facts.restarts}", style="not bold")
    return text


def _done(facts: RunFacts) -> str:
    progress = facts.progress
    if progress is None:
        return ""
    total = "?" if progress.total is None else f"{progress.total:,}"
    return f"{progress.unit} {progress.done:,}/{total}"


def _progress(run: RunView, width: int) -> list[RenderableType]:
    progress = run.facts.progress
    assert progress is not None
    words = [_done(run.facts)]
    if progress.total:
        words.append(f"{min(1.0, progress.done / progress.total):.0%}")
    if progress.per_unit_s is not None:
        words.append(_rate(progress.per_unit_s, progress.unit))
    if run.state == "running":
        if progress.left_s is not None and progress.done != progress.total:
            words.append(f"{duration(progress.left_s)} left")
        if progress.since_last_s:
            words.append(f"last {progress.unit} {duration(progress.since_last_s)} ago")
    text = Text("  ".join(words))
    if not progress.total:
        return [text]
    length = max(10, width // 4)
    filled = max(0, min(length, length * progress.done // progress.total))
    return [Text.assemble(("█" * filled + "░" * (length - filled), "green"), "  ", text)]


def _rate(seconds: float, unit: str) -> str:
    return f"{number(seconds)} s/{unit}" if seconds >= 1 else f"{number(1 / seconds)} {unit}s/s"


def _metrics(facts: RunFacts) -> list[RenderableType]:
    assert facts.metrics is not None
    words = []
    for name, shown in _METRICS.items():
        if name in facts.metrics.metrics:
            between = facts.metrics.intervals.get(name)
            interval = f" [{between[0]:.3f}, {between[1]:.3f}]" if between else ""
            words.append(f"{shown} {facts.metrics.metrics[name]:.3f}{interval}")
    return [Text(" · ".join(words))] if words else []


def _curves(curves: dict[str, Series], width: int, room: int | None) -> list[RenderableType]:
    if not curves:
        return []
    shown = [*curves.items()][:room]
    longest = min(40, max(len(plain(name)) for name, _ in shown))
    bars = max(8, min(60, width - longest - 42))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=longest)
    for _ in range(2):
        table.add_column(no_wrap=True)
    for name, series in shown:
        values = Text(f"{number(series.first)} → ")
        values.append(plain(number(series.last)), style="bold").append(_unit(name), style="dim")
        table.add_row(Text(plain(name)), Text(sparkline(series.means(bars)), "cyan"), values)
    more = len(curves) - len(shown)
    return [table, *([Text(f"and {more} more", style="dim")] if more else [])]


def _unit(name: str) -> str:
    """The unit of a curve behind its value; of a reward its name says it."""
    entry = entry_of(name)
    unit = "" if entry is None else entry.unit.partition(",")[0]
    return f" {unit}" if unit and unit != "reward" else ""


def _sample(sample: Sample, width: int) -> list[RenderableType]:
    words = ["last sample", f"image {plain(sample.image_id)}"]
    if sample.step is not None:
        words.insert(1, f"step {sample.step}")
    if sample.total is not None:
        words.append(f"reward {number(sample.total)}")
    terms = [f"{plain(name)} {number(value)}" for name, value in sample.reward.items()]
    head = " · ".join(words) + (f" ({', '.join(terms)})" if terms else "")
    text, room = plain(sample.text, _LONGEST_SAMPLE), _SAMPLE_LINES * (width - 2)
    cut = text if len(text) < room else f"{text[: room - 1]}…"
    return [Text(head), Padding(Text(cut, style="dim", overflow="fold"), (0, 0, 0, 2))]
