"""What one look shows: plain values, of which `screen` makes text.

Texts in it are as the files have them, and may be anybody's: `screen` takes out what steers a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgg.tracking.names import TOTAL_REWARD
from sgg.watch.run_files import RunFacts

ORDER = (
    *("running", "starting", "queued", "unknown", "failed", "lost", "stopped", "cancelled"),
    "finished",
)
"""States in the order in which a sweep's points are listed."""


@dataclass(frozen=True)
class RunView:
    """One run."""

    name: str
    state: str
    """One of `ORDER`."""
    reason: str
    """Why it waits, or did not finish; the place in Slurm's queue among it."""
    where: str
    """Host, process and job that own the folder."""
    log: str
    """Path of what it said; empty where it has said nothing."""
    said: str
    """The last error in that, of a run that did not finish."""
    facts: RunFacts


@dataclass(frozen=True)
class Row:
    """One line of a pipeline (a step) or a sweep (a point, at its active step)."""

    label: str
    overrides: str
    run: RunView


@dataclass(frozen=True)
class Snapshot:
    """One look at a folder."""

    folder: str
    rows: tuple[Row, ...]
    """Empty for a single run."""
    chosen: int | None
    """Which of the rows the mark is on; None without a choice."""
    run: RunView | None
    """The run that is shown whole; None where all points are listed alone."""
    note: str
    """What could not be known, and why."""
    resume: str
    """The command that resumes what has ended unfinished; empty where there is nothing to resume."""


def main_number(facts: RunFacts) -> str:
    """The one number of a run that a line has room for: recall, else the reward, else the loss."""
    if facts.metrics is not None and "R" in facts.metrics.metrics:
        return f"recall {facts.metrics.metrics['R']:.3f}"
    for name, shown in ((TOTAL_REWARD, "reward"), ("loss", "loss")):
        if name in facts.curves:
            return f"{shown} {number(facts.curves[name].last)}"
    return ""


def number(value: float | str | None) -> str:
    """Three digits; a word as it is."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, the largest two of them, days as hours.

    >>> [duration(s) for s in (4.2, 75, 3725, 90000)]
    ['4 s', '1 min 15 s', '1 h 2 min', '25 h 0 min']
    """
    whole = round(min(seconds, 1e9))
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
