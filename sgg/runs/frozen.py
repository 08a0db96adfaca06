"""The frozen config of a run folder, and which version of sgg made one that does not fit this version's."""

from __future__ import annotations

import shlex
from pathlib import Path

from sgg.config.frozen import FROZEN_NAME, UnfitConfigError, read_frozen
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.code_state import code_record
from sgg.runs.records import Start, read_starts
from sgg.runs.sweep import CODE, read_sweep, sweep_of


def config_of_run(run_dir: Path) -> Config:
    """The frozen config of a run. There is no reader of earlier forms.

    Raises:
        UnfitConfigError: it has other keys or values than this version's; the message says which version
            made it, where that is known, and what can still be done.
        SggError: it is damaged, or was changed by hand since this very version made it.
        OSError: it cannot be read, or is a symbolic link.

    """
    try:
        return read_frozen(run_dir / FROZEN_NAME)
    except UnfitConfigError as error:
        starts = _starts(run_dir)
        if starts and _is_by_this_version(starts[-1]):
            raise SggError(str(error)) from error
        raise UnfitConfigError(f"{error}\n{_what_can_be_done(run_dir, starts)}") from error


def _starts(run_dir: Path) -> list[Start]:
    try:
        return read_starts(run_dir)
    except (SggError, OSError):
        return []


def _is_by_this_version(start: Start) -> bool:
    here = code_record()
    ours, revision = here["git"], start.git.revision if start.git else None
    same = revision == (ours["revision"] if ours else None)
    return same and start.code.version == here["code"]["version"]


def _what_can_be_done(run_dir: Path, starts: list[Start]) -> str:
    folder, sweep = shlex.quote(str(run_dir)), sweep_of(run_dir)
    lines = [f"The run was made by {_version(starts[-1])}."] if starts else []
    if sweep is not None and (sweep / CODE).is_dir():
        code, whole = (shlex.quote(str(path)) for path in (sweep / CODE, sweep))
        if _is_ours(sweep):
            # Bytecode is not signed, so Python may read none of what lies beside the code.
            apart = "PYTHONPYCACHEPREFIX=$(mktemp -d) PYTHONSAFEPATH=1"
            resume = f"{apart} PYTHONPATH={code} python -m sgg resume {whole}"
            lines.append(f"Its sweep has a copy of the version that began it: {resume}")
        else:
            lines.append(
                f"Its author's version is in {code}, and you have neither made nor accepted that: "
                "whoever runs it runs the author's code."
            )
    else:
        lines.append("Resume, score and report it with the version that made it.")
    lines.append(
        f"This version still does: sgg status {folder}; model.path={folder}, to start from its model."
    )
    return "\n".join(lines)


def _is_ours(sweep: Path) -> bool:
    try:
        return read_sweep(sweep).is_signed(sweep)
    except (SggError, OSError):
        return False


def _version(start: Start) -> str:
    version, revision = start.code.version, start.git.revision if start.git else None
    known = [version and f"sgg {version}", revision and f"revision {revision[:12]}"]
    return ", ".join(filter(None, known)) or f"the sgg of {start.time}"
