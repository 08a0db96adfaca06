"""The table of `sgg status`: one line a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from launchers.node.child import LOGS
from launchers.slurm.script import log_name
from launchers.sweep.local import PRINTED
from launchers.sweep.status import ACTIVE, FolderStatus, RunStatus
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.report.tables import markdown
from sgg.runs.progress import progress
from sgg.runs.sweep import SLURM, RunRecord

_HEAD = ["point", "overrides", "run", "state", "step", "last metrics", "restarts", "log"]


def status_table(status: FolderStatus, reasons: bool = True) -> str:
    """Markdown, the counts of each state, why runs did not finish, and what is not known.

    Args:
        reasons: False where they were printed already.

    """
    rows = [_HEAD, *(_row(status, run) for run in status.runs)]
    kept = [i for i in range(len(_HEAD)) if any(row[i] for row in rows[1:])]
    counts = Counter(run.state for run in status.runs)
    lines = [markdown([[row[i] for i in kept] for row in rows])]
    lines.append(", ".join(f"{number} {state}" for state, number in counts.items()))
    ended: dict[tuple[str, str], list[str]] = {}
    for run in status.runs if reasons else ():
        if run.reason and run.state not in ("finished", *ACTIVE):
            own = run.ending is not None and run.ending.reason == run.reason
            reason = run.ending.shown if own and run.ending else run.reason
            ended.setdefault((run.state, reason), []).append(run.run.folder)
    for (state, reason), folders in ended.items():
        more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
        whose = f"{folders[0]}{more}: " if len(status.runs) > 1 else ""
        lines.append(f"{whose}{state}: {reason.replace(chr(10), chr(10) + '    ')}")
    return "\n".join([*lines, status.note] if status.note else lines)


def _row(status: FolderStatus, run: RunStatus) -> list[str]:
    try:
        step, metrics, restarts = progress(status.run_dir(run))
    except (SggError, OSError) as error:
        step, metrics, restarts = "?", explain(error) or str(error), 0
    point = status.record.points[run.run.point] if status.record is not None else None
    log = log_of(status, run.run)
    shown = "" if log is None else str(log)
    if log is not None and log.is_relative_to(status.folder):
        shown = str(log.relative_to(status.folder))
    return [
        point.name.partition("_")[0] if point else "",
        " ".join(word.lstrip("+") for word in point.overrides) if point else "",
        run.run.step,
        f"{run.state} ({run.reason})" if run.state in ACTIVE and run.reason else run.state,
        step,
        metrics,
        str(restarts) if restarts else "",
        shown,
    ]


def log_of(status: FolderStatus, run: RunRecord) -> Path | None:
    """Where to read what a run said, if it has."""
    run_dir = status.folder / run.folder
    candidates = [run_dir / "run.log", run_dir / LOGS / "rank0.log", run_dir / PRINTED]
    if run.jobs and status.record is not None and status.record.launcher == "slurm":
        candidates.append(status.folder / SLURM / log_name(run.jobs[-1]))
    return next((path for path in candidates if path.is_file()), None)
