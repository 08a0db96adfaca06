"""The table of `sgg status`: one line a run."""

from __future__ import annotations

from collections import Counter

from launchers.status import FolderStatus, RunStatus, log_of, progress
from sgg.report.table import markdown

_HEAD = ["point", "overrides", "run", "state", "step", "last metrics", "restarts", "log"]
_REASON_LENGTH = 100


def status_table(status: FolderStatus) -> str:
    """Markdown, the counts of each state, why runs did not finish, and what is not known."""
    rows = [_HEAD, *(_row(status, run) for run in status.runs)]
    kept = [i for i in range(len(_HEAD)) if any(row[i] for row in rows[1:])]
    counts = Counter(run.state for run in status.runs)
    lines = [markdown([[row[i] for i in kept] for row in rows])]
    lines.append(", ".join(f"{number} {state}" for state, number in counts.items()))
    for run in status.runs:
        if run.reason and run.state not in ("finished", "running"):
            lines.append(f"{run.run.folder or '.'}: {run.state}: {_short(run.reason)}")
    return "\n".join([*lines, status.note] if status.note else lines)


def _row(status: FolderStatus, run: RunStatus) -> list[str]:
    step, metrics, restarts = progress(status.run_dir(run))
    point = status.record.points[run.run.point] if status.record is not None else None
    log = log_of(status, run.run)
    return [
        point.name if point else "",
        " ".join(point.overrides) if point else "",
        run.run.step,
        run.state,
        step,
        metrics,
        str(restarts) if restarts else "",
        str(log.relative_to(status.folder)) if log.is_relative_to(status.folder) else str(log),
    ]


def _short(reason: str) -> str:
    """The first line, without what would wrap."""
    line = reason.strip().splitlines()[0]
    return line if len(line) <= _REASON_LENGTH else f"{line[:_REASON_LENGTH]}…"
