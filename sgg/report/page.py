"""report.html: one self-contained file about runs, a pipeline or a sweep. Reads run folders only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sgg.files import make_output_folder, write_whole
from sgg.report import html
from sgg.report.content.baseline import is_control
from sgg.report.content.curves import charts
from sgg.report.content.evaluations import Evaluation, evaluated
from sgg.report.content.folders import runs_of
from sgg.report.content.gallery import IMAGES, RUNS, cards
from sgg.report.content.run import RunContent, read_runs
from sgg.report.content.summary import change_rows, score_rows, verdicts
from sgg.report.content.training import Training, training_of
from sgg.report.view import View, add_failures, add_predicates, chart_groups, view_of

REPORT = "report.html"
AT_END = 100
"""Images in the report that a run writes when it ends; `sgg report` shows more."""


def write_report(
    folders: Sequence[Path],
    out: Path | None = None,
    cache: str | None = None,
    images: int = IMAGES,
) -> Path:
    """Write report.html about all runs in the folders; returns its path.

    Args:
        folders: of runs, pipelines and sweeps.
        out: the folder to write to; None for the only folder.
        cache: where prepared data is kept; None for where each run keeps it, if that can be written to.
        images: of the gallery, at most.

    Raises:
        SggError: in a folder there is no run, or the config of the only run cannot be read.
        OSError: the folder to write to is a symbolic link.

    """
    found = runs_of(folders)
    contents, left_out = read_runs(found)
    target = out or folders[0]
    title = ", ".join(folder.resolve().name for folder in folders)
    view, blocks = _page(title, contents, cache, images) if contents else (View(title, ""), [])
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
    write_whole(path, text)
    return path


def _page(
    title: str, runs: Sequence[RunContent], cache: str | None, images: int
) -> tuple[View, list[html.Html]]:
    evaluations = evaluated(runs, cache)
    gallery = _chosen(evaluations.runs)
    blocks = list(_gallery_blocks(gallery, images))
    training = [t for run in runs if (t := _training(run, cache)) is not None]
    drawn = charts([run for run in runs if run.curves])
    if training:
        blocks.append(html.json_block("training-runs", _training_data(training, evaluations.runs)))
    if drawn:
        blocks.append(html.json_block("charts", [asdict(chart) for chart in drawn]))
    view = view_of(title, runs)
    view.verdicts = verdicts(evaluations.runs)
    view.scores = score_rows(runs, evaluations.runs)
    view.scores_note = _scores_note(evaluations.elsewhere)
    view.changes = change_rows(evaluations.runs, gallery)
    view.has_gallery, view.has_training = bool(gallery), bool(training)
    view.charts = chart_groups(drawn)
    if gallery:
        view.gallery_note = _gallery_note(evaluations.runs, gallery, images)
        focus = evaluations.runs.index(gallery[_focus(gallery)])
        add_predicates(view, evaluations.runs, focus, gallery)
    add_failures(view, runs, gallery)
    return view, blocks


def _chosen(runs: Sequence[Evaluation]) -> list[Evaluation]:
    """The runs that the gallery shows: of too many, the last ones and those that they are compared with."""
    if len(runs) <= RUNS:
        return list(runs)
    wanted: dict[int, None] = {}
    for place in reversed(range(len(runs))):
        base = runs[place].baseline
        for one in (place, *([] if base is None else [base])):
            if len(wanted) < RUNS:
                wanted.setdefault(one)
    return [runs[place] for place in sorted(wanted)]


def _focus(runs: Sequence[Evaluation]) -> int:
    """The run that filters are about at first: the last that is no control."""
    places = [i for i, run in enumerate(runs) if not is_control(run.run.config)]
    return places[-1] if places else len(runs) - 1


def _gallery_blocks(runs: Sequence[Evaluation], images: int) -> Iterator[html.Html]:
    if not runs:
        return
    place_of = {id(run): place for place, run in enumerate(runs)}
    focus = _focus(runs)
    baselines = [place_of.get(id(_baseline_of(run, runs))) for run in runs]
    base = baselines[focus]
    shown = sorted({focus} if base is None else {focus, base})
    rows = []
    for place, card in enumerate(cards(runs, images)):
        rows.append(card.index)
        yield html.json_block(f"image-{place}", card.block)
    index = {
        "runs": [run.run.label for run in runs],
        "baselines": baselines,
        "run": focus,
        "shown": shown,
        "images": rows,
    }
    yield html.json_block("gallery-index", index)


def _baseline_of(run: Evaluation, runs: Sequence[Evaluation]) -> Evaluation | None:
    if run.comparison is None:
        return None
    name = run.comparison.before_name
    return next((other for other in runs if other.run.label == name), None)


def _training(run: RunContent, cache: str | None) -> Training | None:
    return run.taken(lambda: training_of(run, cache), None)


def _training_data(training: Sequence[Training], runs: Sequence[Evaluation]) -> dict[str, Any]:
    """The runs with their samples; `best` is the one whose point, or whose model, scores most."""
    best = max(
        (run for run in runs if run.run.metrics is not None and not is_control(run.run.config)),
        key=lambda run: run.run.metrics.metrics.get("R", 0.0) if run.run.metrics else 0.0,
        default=None,
    )
    place = len(training) - 1
    if best is not None and best.run.point:
        prefix = f"{best.run.point}/"
        mine = [i for i, t in enumerate(training) if f"{t.label}/".startswith(prefix)]
        place = mine[-1] if mine else place
    return {"best": place, "runs": [asdict(one) for one in training]}


def _scores_note(elsewhere: Sequence[str]) -> str:
    note = (
        "A difference is real where a paired permutation test over the images gives p ≤ .05; the bar shows "
        "recall from 0 to 1."
    )
    if elsewhere:
        note += (
            f" Of other images or by another protocol, and so not compared: {', '.join(elsewhere)}."
        )
    return note


def _gallery_note(runs: Sequence[Evaluation], gallery: Sequence[Evaluation], images: int) -> str:
    total = len(gallery[0].prepared)
    parts = ["Point at a relation to see its objects and its partner; dashed arrows are misses."]
    if total > images:
        parts.append(
            f"The first {images:,} of {total:,} images (sgg report … images=N shows more)."
        )
    if len(runs) > len(gallery):
        parts.append(f"{len(gallery)} of {len(runs)} runs are here; the tables have all of them.")
    return " ".join(parts)
