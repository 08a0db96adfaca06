"""The command that makes a run again, from records that anybody may have written.

Input: the start of a run, or the record of its sweep. Output: words of a command line, and which of them
would run other code: a stranger's are shown without those.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgg.runs.records import Start
from sgg.runs.sweep import SweepRecord

_RUNS_CODE = (
    "hardware.environment",
    *(f"hardware.slurm.{key}" for key in ("setup", "prefix", "python", "sbatch", "srun")),
)
"""Keys by which a command names programs and code, as `import_path` does."""


@dataclass(frozen=True)
class Repeat:
    """A command that makes a run again, in a new folder."""

    command: str
    left_out: str = ""
    """Its words that name programs, variables or code; empty where they stand in the command."""


def repeat(words: Sequence[str], is_own: bool) -> Repeat:
    """The words as a command; without those that run other code unless the record is the user's own."""
    if is_own:
        return Repeat(shlex.join(words))
    return Repeat(
        shlex.join(word for word in words if not _runs_code(word)),
        shlex.join(word for word in words if _runs_code(word)),
    )


def words_of_point(record: SweepRecord, point: int) -> list[str]:
    """The command that runs one point of a sweep alone."""
    words = [*record.overrides, *record.points[point].overrides]
    return ["sgg", *(word for word in words if not word.startswith("paths.sweep_dir="))]


def words_of_start(start: Start) -> list[str]:
    """The command of a start, for a new folder."""
    words = _split(start.command)[1:]
    return ["sgg", *(word for word in words if not word.startswith("paths.run_dir="))]


def first_by_people(known: Sequence[Start]) -> Start | None:
    """The start that began a run: `sgg key=value …`, and neither a job's own program nor a resume."""
    begun = [start for start in known if _began(*_split(start.command))]
    return min(begun, key=lambda start: start.time, default=None)


def _split(command: str) -> list[str]:
    """The words of a shell's line; none of one whose quotes do not close, which sgg has not written."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _began(program: str = "", *words: str) -> bool:
    path = Path(program)
    is_ours = path.name == "sgg" or path.parts[-2:] == ("sgg", "__main__.py")
    return is_ours and words[:1] != ("resume",)


def _runs_code(word: str) -> bool:
    """Whether an argument names programs, variables or folders of code."""
    key, _, value = word.lstrip("+~").partition("=")
    is_below = any(key == name or key.startswith(f"{name}.") for name in _RUNS_CODE)
    is_above = "{" in value and any(name.startswith(f"{key}.") for name in _RUNS_CODE)
    is_option = word.startswith("-") or key.startswith("hydra")
    return is_below or is_above or is_option or "import_path" in word
