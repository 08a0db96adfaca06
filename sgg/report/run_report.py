"""One self-contained HTML file for a run or for the runs of a pipeline. Reads files only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sgg.config.frozen import FROZEN_NAME, MAX_BYTES
from sgg.config.schema import Config
from sgg.config.stage import StageName
from sgg.config.tree import cache_to_write
from sgg.data.summary import SplitRecord, count_rows, issue_rows
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import make_output_folder, read_bounded, read_record, refuse_link, write_whole
from sgg.report.charts import charts
from sgg.report.html import Html, details, image_tag, items, page, piece, section, table
from sgg.report.tables import COLUMNS
from sgg.runs.folder import COMPLETIONS, DATA
from sgg.runs.frozen import config_of_run
from sgg.runs.progress import read_curves
from sgg.runs.records import Metrics, Start, read_metrics, read_pipeline, read_starts
from sgg.tracking.state import failure_note

REPORT = "report.html"

_NOTHING = Html()
"""A part that this run does not have."""


def write_report(
    folder: Path,
    runs: Sequence[Path] | None = None,
    out: Path | None = None,
    cache: str | None = None,
) -> Path:
    """Write FOLDER/report.html about the run in it, or about `runs`; returns its path.

    Args:
        folder: of a run or a pipeline.
        runs: those to write about; None for what is in the folder.
        out: another folder to write to.
        cache: where prepared data is kept; None for where the run keeps it, if that can be written to.

    Raises:
        SggError: there is no run in the folder.
        OSError: the folder to write to is a symbolic link.

    """
    if runs is None:
        runs = runs_in(folder)
    body = [_overview(runs)] if len(runs) > 1 else []
    for run_dir in runs:
        body.append(_run(run_dir, cache))
    path = make_output_folder(out or folder) / REPORT
    write_whole(path, page(folder.resolve().name, body))
    return path


def runs_in(folder: Path) -> list[Path]:
    """The folder's own run, or those that its pipeline made, in their order."""
    if pipeline := read_pipeline(folder):
        return [folder / name for name in pipeline.steps]
    if not (folder / FROZEN_NAME).is_file():
        raise SggError(f"{folder}: no run there ({FROZEN_NAME} is missing).")
    return [folder]


def _overview(runs: Sequence[Path]) -> Html:
    rows = []
    for run_dir in runs:
        try:
            content = read_metrics(run_dir)
        except (SggError, OSError):
            continue  # its own section says so
        if content is not None:
            values = [content.metrics.get(key, "") for key in COLUMNS]
            rows.append([run_dir.name, *values, content.images])
    return section("Results", [table(["run", *COLUMNS.values(), "images"], rows)])


def _run(run_dir: Path, cache: str | None) -> Html:
    config = config_of_run(run_dir)
    config.paths.cache = cache or cache_to_write(config.paths.cache)
    parts: list[Callable[[], Html]] = [
        partial(_origin, run_dir, config),
        partial(_tracking, run_dir),
        partial(_data, run_dir),
        partial(_metrics, run_dir),
        partial(_curves, run_dir),
        partial(_gallery, run_dir, config),
    ]
    body = [_part(make) for make in parts]
    text = read_bounded(run_dir / FROZEN_NAME, MAX_BYTES).decode()
    return section(f"{run_dir.name}: {config.stage.name.name}", [*body, details("Config", text)])


def _part(make: Callable[[], Html]) -> Html:
    """A part of a report; where its file is damaged, what is wrong with it."""
    try:
        return make()
    except (SggError, OSError) as error:
        return items([("miss", f"Left out: {explain(error) or error}")])


def _origin(run_dir: Path, config: Config) -> Html:
    rows: list[tuple[str, object]] = [("model", config.model.path), ("seed", config.seed)]
    rows += sorted(config.choices.items())
    starts = read_starts(run_dir)
    if starts:
        last = starts[-1]
        rows += [
            ("command", last.command),
            ("code", _code(last)),
            ("versions", ", ".join(f"{k} {v}" for k, v in last.versions.items())),
            ("starts", len(starts)),
        ]
    return table(["", ""], rows)


def _tracking(run_dir: Path) -> Html:
    note = failure_note(run_dir)
    return table(["", ""], [("tracking", note)]) if note else _NOTHING


def _data(run_dir: Path) -> Html:
    content = read_record(run_dir / DATA, SplitRecord)
    if content is None:
        return _NOTHING
    head, *counts = count_rows(content.split, content.report)
    issue_head, *issues = issue_rows(content.report)
    warnings = [("miss", sentence) for sentence in content.warnings]
    return piece("data", warnings, table(head, counts), table(issue_head, issues) if issues else "")


def _code(start: Start) -> str:
    """The revision of a checkout, or the version of an install."""
    git, code = start.git, start.code
    if git is None:
        return f"sgg {code.version}, no revision: {code.no_revision}"
    return f"{git.revision}{' with changes' if git.dirty else ''}"


def _metrics(run_dir: Path) -> Html:
    content = read_metrics(run_dir)
    return _NOTHING if content is None else _scores(content)


def _scores(content: Metrics) -> Html:
    rows = []
    for name, value in content.metrics.items():
        low_high = content.intervals.get(name)
        shown = f"{low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else ""
        rows.append([name, value, shown])
    problems = [[k, v.completions, v.items] for k, v in content.problems.items()]
    predicates = sorted(content.recall_per_predicate.items(), key=lambda p: -p[1])
    counts = (
        f"{content.images} images, {content.completions} completions, {content.gold_relations} gold "
        f"relations in {content.images_with_relations} images. Protocol: {content.protocol.id}."
    )
    return piece("metrics", rows, counts, problems, predicates)


def _curves(run_dir: Path) -> Html:
    drawn = charts(read_curves(run_dir))
    return piece("curves", drawn) if drawn else _NOTHING


def _gallery(run_dir: Path, config: Config) -> Html:
    from sgg.evaluation.samples import draw_samples

    if config.stage.name is not StageName.eval or not (run_dir / COMPLETIONS).is_file():
        return _NOTHING
    refuse_link(run_dir / COMPLETIONS)
    cards = []
    for sample in draw_samples(config, run_dir / COMPLETIONS, config.tracker.samples):
        wrong = ", ".join(f"{p.kind.value} {p.item}".strip() for p in sample.parsed.problems)
        card = {
            "gold_image": image_tag(sample.gold_image, "gold"),
            "gold": _marked(sample.gold_relations),
            "pred_image": image_tag(sample.pred_image, "prediction"),
            "pred": _marked(sample.pred_relations),
            "wrong": wrong,
            "image_id": sample.image_id,
            "text": sample.text,
        }
        cards.append(card)
    return piece("gallery", cards)


def _marked(relations: Sequence[tuple[bool, str]]) -> list[tuple[str, str]]:
    return [("hit" if is_hit else "miss", text) for is_hit, text in relations]
