"""One self-contained HTML file for a run or for the runs of a pipeline. Reads files only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.config.stage import StageName
from sgg.config.tree import cache_to_write
from sgg.data.summary import count_rows, issue_rows
from sgg.errors import SggError
from sgg.files import make_output_folder, read_json, refuse_link, write_whole
from sgg.report.charts import charts
from sgg.report.html import Html, details, image_tag, page, piece, section, table
from sgg.report.tables import COLUMNS
from sgg.runs.folder import (
    COMPLETIONS,
    CURVES,
    DATA,
    METRICS,
    PIPELINE,
    PROVENANCE,
    read_json_lines,
)
from sgg.tracking.state import failure_note

REPORT = "report.html"


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
    if pipeline := read_json(folder / PIPELINE):
        return [folder / name for name in pipeline["steps"]]
    if not (folder / FROZEN_NAME).is_file():
        raise SggError(f"{folder}: no run there ({FROZEN_NAME} is missing).")
    return [folder]


def _overview(runs: Sequence[Path]) -> Html:
    rows = []
    for run_dir in runs:
        content = read_json(run_dir / METRICS)
        if content is not None:
            values = [content["metrics"][key] for key in COLUMNS]
            rows.append([run_dir.name, *values, content["images"]])
    return section("Results", [table(["run", *COLUMNS.values(), "images"], rows)])


def _run(run_dir: Path, cache: str | None) -> Html:
    config = read_frozen(run_dir / FROZEN_NAME)
    config.paths.cache = cache or cache_to_write(config.paths.cache)
    body = [_origin(run_dir, config)]
    data = read_json(run_dir / DATA)
    if data is not None:
        body.append(_data(data))
    content = read_json(run_dir / METRICS)
    if content is not None:
        body.append(_metrics(content))
    drawn = charts(read_json_lines(run_dir / CURVES))
    if drawn:
        body.append(piece("curves", drawn))
    if config.stage.name is StageName.eval and (run_dir / COMPLETIONS).is_file():
        body.append(_gallery(run_dir, config))
    text = (run_dir / FROZEN_NAME).read_text(encoding="utf-8")
    body.append(details("Config", text))
    return section(f"{run_dir.name}: {config.stage.name.name}", body)


def _origin(run_dir: Path, config: Config) -> Html:
    record = read_json(run_dir / PROVENANCE) or {"starts": []}
    rows: list[tuple[str, object]] = [("model", config.model.path), ("seed", config.seed)]
    rows += sorted(config.choices.items())
    if record["starts"]:
        last = record["starts"][-1]
        rows += [
            ("command", last["command"]),
            ("code", _code(last)),
            ("versions", ", ".join(f"{k} {v}" for k, v in last["versions"].items())),
            ("starts", len(record["starts"])),
        ]
    if note := failure_note(run_dir):
        rows.append(("tracking", note))
    return table(["", ""], rows)


def _data(content: dict[str, Any]) -> Html:
    report = content["report"]
    head, *counts = count_rows(content["split"], report)
    issue_head, *issues = issue_rows(report)
    warnings = [("miss", sentence) for sentence in content["warnings"]]
    return piece("data", warnings, table(head, counts), table(issue_head, issues) if issues else "")


def _code(start: dict[str, Any]) -> str:
    """The revision of a checkout, or the version of an install."""
    git, code = start["git"], start.get("code", {})
    if git is None:
        return f"sgg {code['version']}, no revision: {code['no_revision']}"
    return f"{git['revision']}{' with changes' if git['dirty'] else ''}"


def _metrics(content: dict[str, Any]) -> Html:
    intervals = content["intervals"]
    rows = []
    for name, value in content["metrics"].items():
        low_high = intervals.get(name)
        shown = f"{low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else ""
        rows.append([name, float(value), shown])
    problems = [[k, v["completions"], v["items"]] for k, v in content["problems"].items()]
    predicates = sorted(content["recall_per_predicate"].items(), key=lambda p: -p[1])
    counts = (
        f"{content['images']} images, {content['completions']} completions, {content['gold_relations']} gold "
        f"relations in {content['images_with_relations']} images. Protocol: {content['protocol']['id']}."
    )
    return piece("metrics", rows, counts, problems, predicates)


def _gallery(run_dir: Path, config: Config) -> Html:
    from sgg.evaluation.samples import draw_samples

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
