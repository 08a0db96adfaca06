"""What a dashboard says: which runs it shows, where they are at wandb, and how the evaluations compare."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sgg.dashboard.panels import Section, sections
from sgg.errors import SggError, counted
from sgg.explain.exceptions import explain
from sgg.report.content.evaluations import Evaluation, evaluated
from sgg.report.content.folders import runs_of
from sgg.report.content.run import RunContent, read_runs
from sgg.report.content.summary import ScoreRow, Verdict, score_rows, verdicts, what_was_run
from sgg.report.sweep_view import summary_of, sweep_verdicts
from sgg.terminal import encodable, without_controls
from sgg.tracking.state import known_run_id

_ENTITY = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PROJECT = re.compile(r"[^/\\#?%:\x00-\x1f\x7f]{1,128}")


@dataclass(frozen=True)
class Dashboard:
    """One dashboard, as plain values."""

    title: str
    entity: str
    """wandb's team or user; empty for the key's own."""
    project: str
    run_ids: list[str]
    """Of the runs at wandb."""
    what_was_run: str
    verdicts: list[str]
    """Those of the report: of a sweep one for each configuration, with p adjusted for their number."""
    scores: list[str]
    """One line for each evaluation: its main metrics."""
    sections: list[Section]
    left_out: list[str] = field(default_factory=list)
    """Runs that it does not show, with the reason."""


def dashboard_of(
    folders: Sequence[Path],
    title: str,
    entity: str | None = None,
    project: str | None = None,
    cache: str | None = None,
) -> Dashboard:
    """The dashboard of the runs in these folders.

    Args:
        folders: of runs, pipelines and sweeps.
        title: what it is about, such as the folder's name.
        entity: wandb's team or user; None for that of the configs.
        project: wandb's; None for that of the configs.
        cache: where prepared data is kept; None for where each run keeps it, if that can be written to.

    Raises:
        SggError: in a folder there is no run, no run is at wandb, they are in several projects, or a name is
            none of wandb's.
        OSError: the only run cannot be read.

    """
    found = runs_of(folders)
    contents, left_out = read_runs(found)
    ids: list[str] = []
    tracked: list[RunContent] = []
    for run in contents:
        run_id = run.taken(partial(known_run_id, run.path), None)
        if run.config.tracker.wandb and run_id is not None:
            ids.append(run_id)
            tracked.append(run)
        else:
            left_out.append(f"{run.label}: not tracked by wandb")
    if not tracked:
        raise SggError(
            "sgg dashboard shows runs that wandb has tracked (tracker=wandb), and of "
            f"{counted(len(found), 'run')} here none was: {'; '.join(left_out)}."
        )
    evaluations = evaluated(tracked, cache).runs
    dashboard = Dashboard(
        title=plain_title(title),
        entity=_one("entity", entity, (run.config.tracker.entity or "" for run in tracked)),
        project=_one("project", project, (run.config.tracker.project for run in tracked)),
        run_ids=ids,
        what_was_run=_text(what_was_run(tracked)),
        verdicts=[_text(v.text) for v in _verdicts(folders, evaluations, left_out)],
        scores=[_score(row) for row in score_rows(tracked, evaluations)],
        sections=sections(tracked),
        left_out=left_out,
    )
    for run in tracked:
        dashboard.left_out.extend(f"{run.label}: {what}" for what in run.left_out)
    if dashboard.entity and not _ENTITY.fullmatch(dashboard.entity):
        raise SggError(f"entity={dashboard.entity[:80]}: no name of a team or user at wandb.")
    if not _PROJECT.fullmatch(dashboard.project):
        raise SggError(f"project={dashboard.project[:80]}: no name of a project at wandb.")
    return dashboard


def _verdicts(
    folders: Sequence[Path], evaluations: Sequence[Evaluation], left_out: list[str]
) -> list[Verdict]:
    """As the report has them: by configuration where that can be told."""
    try:
        summary = summary_of(folders, "")
    except (SggError, OSError) as error:
        left_out.append(explain(error) or str(error))
        summary = None
    tested = sweep_verdicts(summary) if summary is not None else []
    return tested or verdicts(evaluations)


def plain_title(text: str) -> str:
    r"""Text as wandb takes it for a title: printable, without symbols, of 100 characters at most.

    >>> plain_title("run <b>=1\x1b[0m")
    'run -b--1'
    """
    kept = ["-" if unicodedata.category(c)[0] == "S" else c for c in _text(text) if c.isprintable()]
    return "".join(kept)[:100].strip() or "runs"


def _text(text: str) -> str:
    """Text that JSON holds and a terminal shows."""
    return without_controls(encodable(text))


def _one(key: str, typed: str | None, configured: Iterable[str]) -> str:
    """What was typed, else the only value of the configs."""
    if typed is not None:
        return typed
    names = list(dict.fromkeys(configured))
    if len(names) > 1:
        shown = ", ".join(without_controls(name)[:80] or "null" for name in names[:5])
        raise SggError(
            f"These runs have several values of tracker.{key}: {shown}. A dashboard is of one; give {key}=…, "
            "or fewer folders."
        )
    return names[0]


def _score(row: ScoreRow) -> str:
    """One line: the main metrics of a run, recall with its interval."""
    ends = "" if row.low is None or row.high is None else f" [{row.low:.3f}, {row.high:.3f}]"
    parts = [f"triplet recall {row.recall:.3f}{ends}"]
    for name, value in (
        ("mean recall", row.mean_recall),
        ("failure rate", row.failure_rate),
        ("AP@50", row.ap50),
    ):
        if value is not None:
            parts.append(f"{name} {value:.3f}")
    note = f" ({row.note})" if row.note else ""
    return _text(f"{row.label}{note}: {', '.join(parts)}, {row.images} images")


def title_of(folders: Sequence[Path]) -> str:
    """What the folders are called together."""
    return ", ".join(folder.resolve().name for folder in folders)
