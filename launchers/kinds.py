"""What a folder that is to be resumed is: a run, a pipeline, a sweep, or something else."""

from __future__ import annotations

import re
import shlex
from enum import Enum
from pathlib import Path

from sgg.config.argv import assignment
from sgg.config.frozen import FROZEN_NAME, UnfitConfigError
from sgg.config.schema import Config
from sgg.errors import SggError, counted, did_you_mean
from sgg.models.weights import is_complete
from sgg.plan.validate import validate
from sgg.runs.folder import PIPELINE, PROVENANCE
from sgg.runs.frozen import config_of_run
from sgg.runs.records import read_starts
from sgg.runs.repeat import first_by_people, repeat, words_of_point, words_of_start
from sgg.runs.sweep import SWEEP, read_sweep, resume_command, sweep_of

_MODEL_FILES = ("config.json", "adapter_config.json")


class Kind(Enum):
    """What can be resumed."""

    run = "run"
    pipeline = "pipeline"
    sweep = "sweep"
    """Or a part of one: a point, or a run that is not finished."""


def kind_of(folder: Path) -> Kind:
    """What a folder that is to be resumed is.

    A finished run of a sweep is a run: it starts nothing and sends its tracker the steps missing there.

    Raises:
        SggError: it is none of these; the message says what is there, and the command for that.

    """
    if (folder / SWEEP).is_file():
        return Kind.sweep
    is_run, is_pipeline = ((folder / name).is_file() for name in (FROZEN_NAME, PIPELINE))
    if (is_run or is_pipeline) and sweep_of(folder) is not None and not is_complete(folder):
        return Kind.sweep
    if is_run:
        return Kind.run
    if is_pipeline:
        return Kind.pipeline
    raise SggError(
        f"sgg resume {shlex.quote(str(folder))}: neither a run, a pipeline nor a sweep. "
        f"{_what_it_is(folder)}"
    )


def frozen_config(run_dir: Path) -> Config:
    """The frozen config of a run that is to go on. Nothing that it names is imported.

    Raises:
        SggError: it cannot be read; the message has the version that can, or the command that makes it again,
            where one is known.

    """
    try:
        return config_of_run(run_dir)
    except UnfitConfigError:
        raise
    except SggError as error:
        raise SggError(f"{error}\n{_made_again(run_dir)}") from error


def checked_config(run_dir: Path) -> Config:
    """The same, checked as when the run began; what it names is imported.

    Raises:
        SggError: it cannot be read, or cannot run.

    """
    config = frozen_config(run_dir)
    try:
        validate(config)
    except SggError as error:
        raise SggError(f"{run_dir / FROZEN_NAME}: {error}") from error
    return config


def _made_again(run_dir: Path) -> str:
    """By the overrides that began the run, in the same folder: its checkpoints are not touched."""
    try:
        first = first_by_people(read_starts(run_dir))
    except SggError:  # provenance.json is damaged, too
        first = None
    sweep = sweep_of(run_dir)
    if sweep is None and first is not None and not (run_dir.parent / PIPELINE).is_file():
        again = [*words_of_start(first), assignment("paths.run_dir", str(run_dir))]
        return (
            "It is the config of this run and was damaged. Move it away and give the command that began the "
            "run; it writes the config again and resumes from the newest complete checkpoint. "
            f"{_quoted(PROVENANCE, again)}"
        )
    words, where = None if first is None else words_of_start(first), PROVENANCE
    if sweep is not None:
        words, where = _words_in_sweep(sweep, run_dir), SWEEP
    anew = "." if words is None else f". {_quoted(where, words)}"
    return (
        f"It is the config of this run and was damaged. Restore {FROZEN_NAME} from a backup, or start a new "
        f"run{anew}"
    )


def _quoted(where: str, words: list[str]) -> str:
    """A command from a file that anybody may have written, without what would run other code."""
    found = repeat(words, is_own=False)
    note = f" (without {found.left_out})" if found.left_out else ""
    return f"By {where}, which may be anybody's, so read it first, that was{note}: {found.command}"


def _words_in_sweep(sweep: Path, run_dir: Path) -> list[str] | None:
    """The command that runs what a run of a sweep is of, alone."""
    record, place = read_sweep(sweep), run_dir.resolve()
    points = [run.point for run in record.runs if sweep / run.folder == place]
    return words_of_point(record, points[0]) if points else None


def _what_it_is(folder: Path) -> str:
    """One or two sentences about what is no run folder."""
    parent = folder.parent
    of_run = parent if (parent / FROZEN_NAME).is_file() else None
    if not folder.exists():
        beside = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
        return f"There is nothing of that name.{did_you_mean(folder.name, beside)}"
    if folder.is_file():
        return "It is a file." + (f" Its run: {resume_command(of_run)}" if of_run else "")
    if of_run and re.fullmatch(r"checkpoint-\d+", folder.name):
        return (
            f"It is a checkpoint of a run, which resumes from its newest complete one: "
            f"{resume_command(of_run)}\nTo start another run from these weights: "
            f"{_command('model.path', folder)} …"
        )
    if any((folder / name).is_file() for name in _MODEL_FILES):
        its_run = f"\nThe run that made it: {resume_command(of_run)}" if of_run else ""
        return f"It is a model, to start from with: {_command('model.path', folder)} …{its_run}"
    if not any(folder.iterdir()):
        return f"It is empty. To start a run in it: {_command('paths.run_dir', folder)} …"
    return _what_is_below(folder)


def _what_is_below(folder: Path) -> str:
    """A folder that holds runs, or none of ours."""
    if sweep_of(folder) is not None:
        return f"It lies in a sweep: {resume_command(folder)}"
    below = [p for p in folder.iterdir() if (p / FROZEN_NAME).is_file()]
    if below:
        newest = max(below, key=lambda p: p.stat().st_mtime)
        return f"It holds {counted(len(below), 'run')}; the newest: {resume_command(newest)}"
    return f"{FROZEN_NAME} is missing there."


def _command(key: str, path: Path) -> str:
    return shlex.join(["sgg", assignment(key, str(path))])
