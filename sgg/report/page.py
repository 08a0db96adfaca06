"""report.html: one self-contained file about runs, a pipeline or a sweep. Reads run folders only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import make_output_folder, write_whole
from sgg.report import html
from sgg.report.change_groups import change_groups
from sgg.report.content.curves import charts
from sgg.report.content.evaluations import evaluated
from sgg.report.content.folders import runs_of
from sgg.report.content.gallery import IMAGES
from sgg.report.content.run import RunContent, read_runs
from sgg.report.content.summary import change_rows, score_rows, verdicts
from sgg.report.content.training import Training, training_of
from sgg.report.curve_groups import curve_groups
from sgg.report.first_shown import first_of_points, first_of_summary
from sgg.report.gallery_data import (
    chosen,
    focus_of,
    gallery_blocks,
    gallery_note,
)
from sgg.report.sweep_summary import SweepSummary
from sgg.report.sweep_view import (
    parallel,
    summary_of,
    sweep_section,
    sweep_verdicts,
)
from sgg.report.view import View, add_failures, add_predicates, chart_groups, view_of
from sgg.report.worst_predicates import add_worst
from sgg.terminal import encodable

REPORT = "report.html"
AT_END = 100
"""Images in the report that a run writes when it ends; `sgg report` shows more."""


def write_report(
    folders: Sequence[Path],
    out: Path | None = None,
    cache: str | None = None,
    images: int = IMAGES,
    baseline: str = "",
) -> Path:
    """Write report.html about all runs in the folders; returns its path.

    Args:
        folders: of runs, pipelines and sweeps.
        out: the folder to write to; None for the only folder.
        cache: where prepared data is kept; None for where each run keeps it, if that can be written to.
        images: of the gallery, at most.
        baseline: of a sweep or several runs, what others are compared with, as `runs_summary` takes it;
            empty for the first configuration, and in the gallery for what each run was trained from.

    Raises:
        SggError: in a folder there is no run, no config can be read, or there is no such baseline.
        OSError: the folder to write to is a symbolic link.

    """
    found = runs_of(folders)
    contents, left_out = read_runs(found)
    target = out or folders[0]
    title = ", ".join(folder.resolve().name for folder in folders)
    summary = _summary(folders, baseline, left_out)
    pairs = summary.pairs() if summary is not None and baseline else None
    view, blocks = _page(title, contents, cache, images, summary, pairs)
    several = len(contents) > 1
    for run in contents:
        left_out += [f"{run.label}: {what}" if several else what for what in run.left_out]
    view.left_out = left_out
    text = html.render(
        "page.html",
        view=view,
        blocks=blocks,
        policy=html.policy(),
        style=html.style(),
        script=html.script(),
    )
    path = make_output_folder(target) / REPORT
    write_whole(path, encodable(text))
    return path


def _page(
    title: str,
    runs: Sequence[RunContent],
    cache: str | None,
    images: int,
    summary: SweepSummary | None,
    pairs: Mapping[str, str] | None,
) -> tuple[View, list[html.Html]]:
    evaluations = evaluated(runs, cache, pairs)
    first = first_of_summary(summary) if summary else first_of_points(evaluations.runs)
    gallery = chosen(evaluations.runs, first)
    focus = focus_of(gallery, first)
    blocks = list(gallery_blocks(gallery, focus, first, images))
    training = [t for run in runs if (t := _training(run, cache)) is not None]
    curved = [run for run in runs if run.curves]
    drawn = charts(curved, curve_groups(curved, summary))
    if training:
        best = [*first.runs, *(gallery[focus].run.label for _ in gallery[:1]), ""][0]
        blocks.append(html.json_block("training-runs", _training_data(training, best)))
    if drawn:
        blocks.append(html.json_block("charts", [asdict(chart) for chart in drawn]))
    view = view_of(title, runs)
    tested = sweep_verdicts(summary) if summary is not None else []
    view.verdicts = tested or verdicts(evaluations.runs)
    # a pair is tested once on a page: what is among the configurations has no other p beside it
    view.scores = score_rows(runs, [] if tested else evaluations.runs)
    view.scores_note = _scores_note(evaluations.elsewhere, bool(tested))
    if summary is not None:
        _add_summary(view, blocks, summary)
    view.changes = change_groups(change_rows(gallery, gallery), summary)
    view.first_note = first.note
    view.has_gallery, view.has_training = bool(gallery), bool(training)
    view.charts = chart_groups(drawn)
    if gallery:
        note = gallery_note(evaluations.runs, gallery, images)
        view.gallery_note = f"{note} {first.note_on_both}".strip()
        add_predicates(view, gallery)
        add_worst(view, evaluations.runs, summary, gallery[focus].run.label, focus)
    add_failures(view, runs, gallery)
    return view, blocks


def _summary(folders: Sequence[Path], baseline: str, left_out: list[str]) -> SweepSummary | None:
    """By configuration; None where there is one, or where a damaged file forbids it."""
    try:
        summary = summary_of(folders, baseline)
    except (SggError, OSError) as error:
        if baseline:
            raise
        left_out.append(explain(error) or str(error))
        return None
    if summary is None and baseline:
        raise SggError(
            f"baseline={baseline} would be ignored: it is of one sweep, or of several runs and pipelines. "
            "Leave it out."
        )
    return summary


def _add_summary(view: View, blocks: list[html.Html], summary: SweepSummary) -> None:
    view.extra.append(sweep_section(summary))
    view.extra_contents.append(("sweep", "Configurations"))
    if axes := parallel(summary):
        blocks.append(html.json_block("parallel-data", axes))


def _training(run: RunContent, cache: str | None) -> Training | None:
    return run.taken(lambda: training_of(run, cache), None)


def _training_data(training: Sequence[Training], best: str) -> dict[str, Any]:
    """The runs with their samples; `best` is the last one of the pipeline of the run of that label."""
    pipeline = best.rpartition("/")[0]
    mine = [i for i, one in enumerate(training) if one.label.rpartition("/")[0] == pipeline]
    place = mine[-1] if mine else len(training) - 1
    return {"best": place, "runs": [asdict(one) for one in training]}


def _scores_note(elsewhere: Sequence[str], are_tested_above: bool) -> str:
    note = "The bar shows recall from 0 to 1."
    if are_tested_above:
        note += " Differences stand among the configurations."
    else:
        note += (
            " A difference is real where a paired permutation test over the images gives p ≤ 0.05."
        )
    if elsewhere:
        note += (
            f" Of other images or by another protocol, and so not compared: {', '.join(elsewhere)}."
        )
    return note
