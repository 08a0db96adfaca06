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
from sgg.runs.checkpoint import checkpoints, is_marked_complete
from sgg.runs.signature import FOLDER, is_signed, sign

log = logging.getLogger("sgg")

_THREADS = 8
"""Files that are read at once: a rank's optimiser state may be gigabytes."""


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


def unsigned_checkpoints(run_dir: Path, config: Config) -> list[Path]:
    """Complete checkpoints whose state DeepSpeed would unpickle, and that this user has not signed."""
    if config.deepspeed is None:
        return []
    return [f for f in checkpoints(run_dir) if is_marked_complete(f) and not _is_signed(f)]


def _is_signed(folder: Path) -> bool:
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
