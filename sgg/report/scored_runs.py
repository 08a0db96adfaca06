"""The evaluations of a sweep, or of several run folders: what each was asked, how it ended, what it scored.

Input: folders, which may be a stranger's. Output: one `ScoredRun` an evaluation, also one that has not ended
or cannot be read. Reads files only: no queue is asked, and nothing that a config names is imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sgg.config.argv import key_of
from sgg.config.schema import Config
from sgg.config.stage import StageName
from sgg.errors import SggError
from sgg.models.weights import is_complete
from sgg.report.content.folders import runs_of
from sgg.report.lineage import trainings
from sgg.report.tables import COLUMNS
from sgg.runs.exit_status import read_exit_status
from sgg.runs.frozen import config_of_run
from sgg.runs.progress import last_value
from sgg.runs.records import (
    Metrics,
    PerImage,
    read_metrics,
    read_per_image,
    read_starts,
)
from sgg.runs.repeat import Repeat, first_by_people, repeat, words_of_point, words_of_start
from sgg.runs.signature import is_signed_run
from sgg.runs.sweep import SweepRecord, read_sweep
from sgg.tracking.names import LOSS, TOTAL_REWARD

SEED = "seed"


@dataclass(frozen=True)
class ScoredRun:
    """One evaluation."""

    name: str
    """Of its point and step, or of its folder."""
    path: Path
    step: str
    """Of its point's pipeline, or its stage; empty outside of a sweep."""
    overrides: dict[str, str]
    """What sets its point apart from the others, but for the seed: key -> value; empty outside of a sweep."""
    seed: str
    """Outside of a sweep that of the last training behind its model, where this is among the runs."""
    config: Config | None
    """None where it cannot be read."""
    state: str
    """finished, failed, stopped, `not ended`, `not started` or unreadable."""
    reason: str
    """Why it has not finished, or cannot be read; one line."""
    metrics: Metrics | None
    values: dict[str, float]
    """What a table shows, by name: of an evaluation the metrics of `COLUMNS` and what a search improves; of a
    finished training the last value of what a search improves, else of its reward or its loss."""
    images: PerImage | None
    repeat: Repeat | None
    """The command that makes it again; None where no record has it."""
    made: tuple[Config, ...] = ()
    """Its config, then those of the trainings behind its model that are among the runs, the last one first;
    empty where its config cannot be read."""


def runs_of_sweep(folder: Path, objective: str = "") -> list[ScoredRun]:
    """The evaluations of a sweep, in its order; where no step is one, the last step of each point.

    Args:
        folder: with sweep.json.
        objective: the number that a search improves; empty where the sweep is none.

    Raises:
        SggError: there is no sweep that can be read.

    """
    record = read_sweep(folder)
    is_own = _is_own(folder, record)
    runs = []
    steps = Counter(run.point for run in record.runs)
    for run in record.runs:
        point = record.points[run.point]
        words = {key_of(w): w.partition("=")[2] for w in point.overrides}
        seed = words.pop(SEED, None)
        name = f"{point.name}/{run.step}" if steps[run.point] > 1 else point.name
        again = repeat(words_of_point(record, run.point), is_own)
        runs.append(_read(name, folder / run.folder, run.step, words, seed, again, objective))
    scored = {run.step for run in runs if _is_evaluation(run)}
    if not scored:
        scored = {record.runs[-1].step} if record.runs else set()
    return [run for run in _with_trainings(runs) if run.step in scored]


def runs_of_folders(folders: Sequence[Path]) -> list[ScoredRun]:
    """The evaluations of run and pipeline folders, in their order; of a run that is none, the run itself.

    Raises:
        SggError: there is no run in one of them.

    """
    runs: dict[Path, ScoredRun] = {}
    for run in runs_of(folders):
        path = run.path.resolve()
        if path not in runs:
            runs[path] = _read(run.label, run.path, "", {}, None, _by_hand(run.path))
    read = _with_trainings([*runs.values()])
    evaluated = [run for run in read if _is_evaluation(run)]
    return [
        replace(run, seed=str(run.made[1].seed)) if len(run.made) > 1 else run
        for run in evaluated or read
    ]


def _with_trainings(runs: Sequence[ScoredRun]) -> list[ScoredRun]:
    by_folder = {
        run.config.paths.run_dir: run.config
        for run in runs
        if run.config is not None and not _is_evaluation(run)
    }
    return [
        run if (c := run.config) is None else replace(run, made=(c, *trainings(c, by_folder)))
        for run in runs
    ]


def _read(
    name: str,
    path: Path,
    step: str,
    overrides: dict[str, str],
    seed: str | None,
    again: Repeat | None,
    objective: str = "",
) -> ScoredRun:
    config = metrics = images = None
    values: dict[str, float] = {}
    try:
        state, reason = _state(path)
        metrics, images = read_metrics(path), read_per_image(path)
        config = config_of_run(path)
        if metrics is not None:
            shown = (*COLUMNS, objective)
            values = {key: metrics.metrics[key] for key in shown if key in metrics.metrics}
        elif state == "finished":
            values = _last(path, objective or _judged_by(config))
    except (SggError, OSError) as error:
        state, reason = ("not started", "") if not path.exists() else ("unreadable", str(error))
    if seed is None:
        seed = "" if config is None else str(config.seed)
    reason = reason.strip().partition("\n")[0]
    return ScoredRun(
        name, path, step, overrides, seed, config, state, reason, metrics, values, images, again
    )


def _last(run_dir: Path, name: str) -> dict[str, float]:
    value = last_value(run_dir, name)
    return {} if value is None else {name: value}


def _judged_by(config: Config) -> str:
    return TOTAL_REWARD if config.stage.name is StageName.grpo else LOSS


def _state(run_dir: Path) -> tuple[str, str]:
    ending = read_exit_status(run_dir)
    if ending is not None:
        return ending.state.name, "" if ending.state.name == "finished" else ending.shown
    if is_complete(run_dir):  # begun in a terminal, without a supervisor
        return "finished", ""
    return "not ended" if read_starts(run_dir) else "not started", ""


def _is_evaluation(run: ScoredRun) -> bool:
    is_eval = run.config is not None and run.config.stage.name is StageName.eval
    return is_eval or run.metrics is not None


def _by_hand(run_dir: Path) -> Repeat | None:
    """The command that a person gave; anybody may have written where it is kept."""
    try:
        first = first_by_people(read_starts(run_dir))
    except (SggError, OSError):
        return None
    return None if first is None else repeat(words_of_start(first), is_own=False)


def _is_own(folder: Path, record: SweepRecord) -> bool:
    """Whether the user has made or accepted the sweep; a stranger's code is not read for that."""
    try:
        runs_are = [is_signed_run(folder / run.folder) for run in record.runs]
        return bool(runs_are) and all(runs_are) and record.is_signed(folder)
    except OSError:
        return False
