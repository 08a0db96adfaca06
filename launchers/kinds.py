"""What a path holds that somebody wants to go on with, and the command for it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from launchers.progress import starts
from launchers.sweep_file import SWEEP, sweep_of
from sgg.cli import assignment
from sgg.config import FROZEN_NAME
from sgg.errors import SggError, nearest
from sgg.run import PIPELINE

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


def _what_it_is(folder: Path) -> str:
    """One or two sentences about what is no run folder."""
    parent = folder.parent
    of_run = parent if (parent / FROZEN_NAME).is_file() else None
    if not folder.exists():
        beside = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
        return f"There is nothing of that name.{nearest(folder.name, beside)}"
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
    known = [start for step in sorted(folder.iterdir()) for start in starts(step)]
    here = assignment("paths.run_dir", str(folder))
    if not known:
        return f"the command that began it, with {shlex.quote(here)}"
    words = shlex.split(min(known, key=lambda start: start["time"])["command"])[1:]
    return shlex.join(["sgg", *(w for w in words if not w.startswith("paths.run_dir=")), here])


def _command(key: str, path: Path) -> str:
    return shlex.join(["sgg", assignment(key, str(path))])
