"""What a path holds that somebody wants to go on with, and the command for it."""

from __future__ import annotations

import re
import shlex
from itertools import compress
from pathlib import Path
from typing import Any

from sgg.config.argv import assignment
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.errors import SggError, did_you_mean
from sgg.runs.folder import PIPELINE
from sgg.runs.progress import starts
from sgg.runs.sweep import SWEEP, sweep_of

_MODEL_FILES = ("config.json", "adapter_config.json")


def run_folder(path: str) -> Path:
    """The run folder that `resume=PATH` names.

    Raises:
        SggError: it is none; the message says what is there, and the command for that.

    """
    folder = Path(path).expanduser()
    if (folder / FROZEN_NAME).is_file() and folder.is_dir():
        return folder
    raise SggError(f"resume={path}: no run folder. {_what_it_is(folder)}")


def frozen_config(run_dir: Path) -> Config:
    """The frozen config of a run that is to go on.

    Raises:
        SggError: it cannot be read; the message has the command that makes it again, where one is known.

    """
    try:
        return read_frozen(run_dir / FROZEN_NAME)
    except SggError as error:
        raise SggError(f"{error}\n{_made_again(run_dir)}") from error


def _made_again(run_dir: Path) -> str:
    """By the words that began the run, in the same folder: its checkpoints are not touched."""
    known = _by_people(starts(run_dir))
    if not known or sweep_of(run_dir) is not None or (run_dir.parent / PIPELINE).is_file():
        return f"It is the config of this run and was damaged. Put a copy of {FROZEN_NAME} there."
    first = min(known, key=lambda start: start["time"])
    return (
        "It is the config of this run and was damaged. Move it away and give the command that began the "
        "run; it writes the config again and goes on from the newest whole checkpoint: "
        f"{_same(first, run_dir)}"
    )


def _by_people(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the starts that somebody can give again: `sgg …`, and not a job's own program."""
    programs = [Path(shlex.split(start["command"])[0]) for start in known]
    ours = [p.name == "sgg" or p.parts[-2:] == ("sgg", "__main__.py") for p in programs]
    return list(compress(known, ours))


def _same(start: dict[str, Any], folder: Path) -> str:
    """The command of a start, for this folder."""
    words = shlex.split(start["command"])[1:]
    here = assignment("paths.run_dir", str(folder))
    return shlex.join(["sgg", *(w for w in words if not w.startswith("paths.run_dir=")), here])


def _what_it_is(folder: Path) -> str:
    """One or two sentences about what is no run folder."""
    parent = folder.parent
    of_run = parent if (parent / FROZEN_NAME).is_file() else None
    if not folder.exists():
        beside = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
        return f"There is nothing of that name.{did_you_mean(folder.name, beside)}"
    if folder.is_file():
        return "It is a file." + (f" Its run: {_command('resume', of_run)}" if of_run else "")
    if (folder / SWEEP).is_file():
        return f"It is a sweep: {shlex.join(['sgg', 'sweep', f'resume={folder}'])}"
    if (folder / PIPELINE).is_file():
        return f"It is a pipeline: {_pipeline_command(folder)}"
    if of_run and re.fullmatch(r"checkpoint-\d+", folder.name):
        return (
            f"It is a checkpoint of a run, which goes on from its newest whole one: "
            f"{_command('resume', of_run)}\nTo start another run from these weights: "
            f"{_command('model.path', folder)} …"
        )
    if any((folder / name).is_file() for name in _MODEL_FILES):
        its_run = f"\nThe run that made it: {_command('resume', of_run)}" if of_run else ""
        return f"It is a model, to start from with: {_command('model.path', folder)} …{its_run}"
    if not any(folder.iterdir()):
        return f"It is empty. To start a run in it: {_command('paths.run_dir', folder)} …"
    return _what_is_below(folder)


def _what_is_below(folder: Path) -> str:
    """A folder that holds runs, or none of ours."""
    below = [p for p in folder.iterdir() if (p / FROZEN_NAME).is_file()]
    if below:
        newest = max(below, key=lambda p: p.stat().st_mtime)
        return f"It holds {len(below)} of them; the newest: {_command('resume', newest)}"
    if (sweep := sweep_of(folder)) is not None:
        return f"It lies in a sweep: {shlex.join(['sgg', 'sweep', f'resume={sweep}'])}"
    return f"{FROZEN_NAME} is missing there."


def _pipeline_command(folder: Path) -> str:
    """A sweep's goes on with the sweep; another by the words that began it, in the same folder."""
    if (sweep := sweep_of(folder)) is not None:
        return shlex.join(["sgg", "sweep", f"resume={sweep}"])
    steps = sorted(path for path in folder.iterdir() if path.is_dir())
    known = [start for step in steps for start in _by_people(starts(step))]
    if not known:
        here = assignment("paths.run_dir", str(folder))
        return f"the command that began it, with {shlex.quote(here)}"
    return _same(min(known, key=lambda start: start["time"]), folder)


def _command(key: str, path: Path) -> str:
    return shlex.join(["sgg", assignment(key, str(path))])
