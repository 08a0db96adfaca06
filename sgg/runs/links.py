"""Links in a run or sweep folder: none leads out of it, so what is written there stays there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sgg.errors import SggError
from sgg.files import refuse_link
from sgg.runs.folder import SERVED

MOST = 4_000_000
"""Files and folders that are looked at: a run has some thousands, and a sweep may have thousands of runs."""

_WANDB, _LOG_OF_WANDB = "wandb", "debug-core.log"


def refuse_links_out_of(folder: Path) -> None:
    """Look at all that is below a folder, through no link; a link to something in it is harmless.

    Raises:
        OSError: a link leads out of the folder (ELOOP), or a folder below may not be read.
        SggError: there are more than MOST files.

    """
    here = folder.resolve()
    for number, entry in enumerate(_entries(folder)):
        if number >= MOST:
            raise SggError(
                f"{folder}: more than {MOST:,} files, among which links out of it cannot be looked for. Take "
                "another folder, or remove what no run has written."
            )
        if entry.is_symlink():
            path = Path(entry.path)
            is_inside = Path(os.path.realpath(path)).is_relative_to(here)
            if not is_inside and not _is_made_by_runs(path.relative_to(folder)):
                refuse_link(path)


def _is_made_by_runs(link: Path) -> bool:
    """Whether runs make such a link themselves; through none of these is anything written.

    wandb has one to its own log in each of its runs' folders, which are new. vLLM's model folder has those to
    the weights that it reads, and is removed before it is made.
    """
    if link.name == _LOG_OF_WANDB:
        return _WANDB in link.parts
    return link.parent.name == SERVED or link.parent.name.startswith(f"{SERVED}.")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All below a folder; what another process removes meanwhile may be missing."""
    left = [str(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as found:
                entries = list(found)
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
            yield entry
