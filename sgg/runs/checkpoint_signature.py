"""Whose checkpoint it is: DeepSpeed unpickles its state, which runs code, so its checkpoints are signed, too.

Signed are the names and SHA-256 of all files, of any size: the checksums of the marker find damage, and not
a file that was made to have the same. A link counts as unsigned.
"""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.files import opened, refuse_link
from sgg.runs.checkpoint import is_marked_complete, newest_complete
from sgg.runs.folder import MODEL_FOLDER
from sgg.runs.signature import FOLDER, is_signed, sign

log = logging.getLogger("sgg")

_THREADS = 8
"""Files that are read at once: a rank's optimiser state may be gigabytes."""

_SAID_FROM_GB = 1.0
"""Reading more than this takes a while."""


def sign_checkpoint(folder: Path) -> None:
    """Say that a run of the user's has written this checkpoint, or that the user accepts it.

    Raises:
        SggError, OSError: it holds a symbolic link or something else that is no regular file.

    """
    sign(folder, _content(folder))


def sign_written_checkpoint(folder: Path) -> None:
    """Sign a checkpoint that this run has just written; it is complete, so a failure is only logged."""
    try:
        sign_checkpoint(folder)
    except (OSError, SggError) as error:  # such as a file of NFS's own that goes meanwhile
        log.warning("%s is not signed, so resuming from it will want trust=true. %s", folder, error)


def unpickled_checkpoint(run_dir: Path, config: Config) -> Path | None:
    """The checkpoint whose state DeepSpeed unpickles when the run starts; None if it unpickles none.

    That is the newest complete one, and of a finished run none: older ones are not read.
    """
    if config.deepspeed is None or is_marked_complete(run_dir / MODEL_FOLDER):
        return None
    return newest_complete(run_dir)


def unsigned_checkpoint(run_dir: Path, config: Config) -> Path | None:
    """That checkpoint if this user has not signed it; None otherwise.

    Reads all of it, and says so first where that takes long.
    """
    folder = unpickled_checkpoint(run_dir, config)
    return None if folder is None or _is_signed(folder) else folder


def _is_signed(folder: Path) -> bool:
    size_gb = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e9
    if size_gb > _SAID_FROM_GB:
        print(f"checking {size_gb:.0f} GB of checkpoints of {folder.parent}", flush=True)
    try:
        return is_signed(folder, _content(folder))
    except (OSError, SggError):  # links, pipes and what may not be read are nobody's
        return False


def _content(folder: Path) -> bytes:
    refuse_link(folder)
    files = []
    for path in sorted(folder.rglob("*")):
        refuse_link(path)
        if not path.is_dir() and path.parent != folder / FOLDER:
            files.append(path)
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = list(pool.map(_digest, files))
    names = [str(path.relative_to(folder)) for path in files]
    listed = list(zip(names, digests, strict=True))
    return f"checkpoint\n{json.dumps([folder.name, listed])}".encode()


def _digest(path: Path) -> str:
    with opened(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
