"""What the page's template shows of runs: rows of tables, sentences, links into the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sgg.data.summary import count_rows, issue_rows
from sgg.report.change_groups import ChangeGroup
from sgg.report.content.curves import Chart
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.predicates import GROUPS, predicate_rows
from sgg.report.content.run import RunContent, code_of
from sgg.report.content.summary import (
    Count,
    ScoreRow,
    Verdict,
    filter_of,
    what_was_run,
)
from sgg.report.html import Html
from sgg.text.problems import FAILURES
from sgg.tracking.names import EVALUATED, FAILED, TOTAL_REWARD

_FAILING = {kind.value for kind in FAILURES} | {"no_completion"}
_TITLES = {"main": "Main curves", "reward terms": "Terms of the reward", "more": "More curves"}


@dataclass
class View:
    """Everything that `templates/page.html` puts in place."""

    title: str
    what: str
    left_out: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    scores: list[ScoreRow] = field(default_factory=list)
    scores_note: str = ""
    worst: list[dict[str, Any]] = field(default_factory=list)
    worst_columns: list[str] = field(default_factory=list)
    """Titles of the configurations; of one run an empty one."""
    worst_caption: str = ""
    worst_note: str = ""
    changes: list[ChangeGroup] = field(default_factory=list)
    stage_rows: list[dict[str, Any]] = field(default_factory=list)
    extra: list[Html] = field(default_factory=list)
    """Sections of a sweep."""
    extra_contents: list[tuple[str, str]] = field(default_factory=list)
    has_gallery: bool = False
    gallery_note: str = ""
    first_note: str = ""
    """Which run stands first in training, and why."""
    has_training: bool = False
    charts: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    predicates: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    group_names: tuple[str, ...] = GROUPS
    failures: list[dict[str, Any]] = field(default_factory=list)
    failure_labels: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    all_metrics: list[list[str]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Names and titles of the sections that there are."""
        parts = (
            ("gallery", "Images", self.has_gallery),
            ("training", "Through training", self.has_training),
            ("curves", "Curves", bool(self.charts)),
            ("predicates", "Predicates", bool(self.predicates)),
            ("failures", "Problems", bool(self.failures)),
            ("data", "Data", bool(self.data)),
            ("runs", "Runs", True),
        )
        there = [(name, title) for name, title, is_there in parts if is_there]
        return [("summary", "Summary"), *self.extra_contents, *there]


def view_of(title: str, runs: Sequence[RunContent]) -> View:
    """What every report shows of its runs."""
    return View(
        title,
        what_was_run(runs),
        stage_rows=[_stage_row(run) for run in runs if run.curves],
        data=_data(runs),
        all_metrics=_all_metrics(runs),
        runs=[_run(run) for run in runs],
    )


def chart_groups(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    """The charts under their headings."""
    numbered = list(enumerate(charts))
    return [
        {
            "title": _TITLES[group],
            "folded": group == "more",
            "charts": [
                {
                    "place": place,
                    "name": chart.name,
                    "meaning": chart.meaning,
                    "note": chart.note,
                }
                for place, chart in members
            ],
        }
        for group, members in groupby(numbered, lambda pair: pair[1].group)
    ]


def add_predicates(view: View, runs: Sequence[Evaluation]) -> None:
    """The table of predicates.

    Args:
        view: what is added to.
        runs: of the gallery, scored.

    """
    rows = predicate_rows([run.scored for run in runs if run.scored])
    if not rows:
        return
    view.labels = [run.run.label for run in runs]
    view.predicates = [
        {
            "name": row.name,
            "group": row.group,
            "gold": row.gold,
            "recalls": [row.recall(i) for i in range(len(runs))],
        }
        for row in rows
    ]
    view.groups = [
        {"label": run.run.label, "recalls": [run.scored.content["groups"][g]["mR"] for g in GROUPS]}
        for run in runs
        if run.scored is not None and all(g in run.scored.content["groups"] for g in GROUPS)
    ]


def add_failures(view: View, runs: Sequence[RunContent], gallery: Sequence[Evaluation]) -> None:
    """How many completions of each run have each kind of problem."""
    scored = [run for run in runs if run.metrics is not None]
    kinds = dict.fromkeys(kind for run in scored if run.metrics for kind in run.metrics.problems)
    places = {e.run.label: i for i, e in enumerate(gallery)}
    view.failure_labels = [run.label for run in scored]
    for kind in sorted(kinds, key=lambda kind: (kind not in _FAILING, kind)):
        cells = []
        for run in scored:
            assert run.metrics is not None
            count = run.metrics.problems.get(kind)
            number = count.completions if count else 0
            target = filter_of(places.get(run.label), kind=kind) if number else ""
            cells.append(Count(number, target))
        view.failures.append({"kind": kind, "fails": kind in _FAILING, "cells": cells})


def _stage_row(run: RunContent) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for row in run.curves[-20:]:
        last |= row
    names = ("loss", TOTAL_REWARD, FAILED, EVALUATED[0])
    shown = [f"{n} {last[n]:.3g}" for n in names if isinstance(last.get(n), (int, float))]
    return {
        "label": run.label,
        "stage": run.config.stage.name.name,
        "steps": last.get("step", "?"),
        "last": ", ".join(shown),
    }


def _data(runs: Sequence[RunContent]) -> list[dict[str, Any]]:
    """Each split once, however many runs read it."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        content = run.data
        if content is None:
            continue
        counts, issues = (
            count_rows(content.split, content.report),
            issue_rows(content.report),
        )
        key = repr((counts, issues, content.warnings))
        part = found.setdefault(
            key, {"readers": [], "warnings": content.warnings, "counts": counts, "issues": issues}
        )
        part["readers"].append(run.label)
        part["title"] = f"{content.split}, read by {', '.join(part['readers'])}"
        part["kept"] = f"{content.report.kept.get('images', 0):,} images"
    return list(found.values())


def _all_metrics(runs: Sequence[RunContent]) -> list[list[str]]:
    scored = [run for run in runs if run.metrics is not None]
    names = dict.fromkeys(name for run in scored if run.metrics for name in run.metrics.metrics)
    if not names:
        return []
    rows = [["metric", *(run.label for run in scored)]]
    for name in names:
        rows.append([name, *(_value(run, name) for run in scored)])
    return rows


def _value(run: RunContent, name: str) -> str:
    assert run.metrics is not None
    value, ends = run.metrics.metrics.get(name), run.metrics.intervals.get(name)
    if value is None:
        return "–"
    return f"{value:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")


def _run(run: RunContent) -> dict[str, Any]:
    config = run.config
    facts: list[tuple[str, object]] = [("folder", run.path), ("model", config.model.path)]
    facts += [("seed", config.seed), *sorted(config.choices.items())]
    if run.metrics is not None:
        content = run.metrics
        facts.append(
            (
                "scored",
                f"{content.images} images, {content.completions} completions, {content.gold_relations} gold "
                f"relations in {content.images_with_relations} images. Protocol: {content.protocol.id}.",
            )
        )
    if run.starts:
        last = run.starts[-1]
        facts += [
            ("command", last.command),
            ("code", code_of(last)),
            ("versions", ", ".join(f"{k} {v}" for k, v in last.versions.items())),
            ("starts", len(run.starts)),
        ]
    return {
        "label": run.label,
        "stage": config.stage.name.name,
        "tracking": run.tracking,
        "facts": facts,
        "config": run.config_text,
    }
