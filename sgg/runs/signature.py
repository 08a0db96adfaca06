"""Whose folder it is: a run or sweep folder carries a MAC, by the user's secret, over what it would run.

    FOLDER/signed/MAC    named by HMAC-SHA256 in hexadecimal; in the file, who and when, for people

Each user and each content that was made, or accepted by `trust=true`, has a file of its own, so none is ever
replaced. The owner of the files would say nothing: what is unpacked from an archive belongs to who unpacks
it. Signed are the frozen config of a run, the checkpoints of one with DeepSpeed (checkpoint_signature.py),
and the code and the list of runs of a sweep; results are not.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sgg.config.frozen import FROZEN_NAME, MAX_BYTES
from sgg.errors import SggError
from sgg.files import as_json, make_output_folder, opened, read_record, write_first
from sgg.runs.users_secret import users_secret

FOLDER = "signed"

LASTING_SECRET = (
    "In a container, or on nodes with a home each, let XDG_CONFIG_HOME name a folder that lasts."
)
"""Why a user's own may look like another's."""

_MOST = 100
"""Signatures of a folder that are read for people."""

log = logging.getLogger("sgg")


@dataclass(frozen=True)
class Signature:
    """Who signed, and when."""

    user: int
    """Number of the user."""
    host: str
    time: str
    """ISO 8601 with zone."""


def sign(folder: Path, content: bytes) -> None:
    """Say that this content of the folder is the user's, or accepted.

    Where there is no place for a secret or a signature the folder stays unsigned, and that is logged.
    """
    note = Signature(os.getuid(), platform.node(), datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        name = _mac(content)
        write_first(make_output_folder(folder / FOLDER) / name, as_json(asdict(note)).encode())
    except (SggError, OSError) as error:
        log.warning(
            "%s is not signed, so resuming it will want trust=true. %s %s",
            folder,
            error,
            LASTING_SECRET,
        )


def signatures(folder: Path) -> list[Signature]:
    """What the signatures of a folder say of who made them, without those that cannot be read.

    Anybody can write such a note: it is told to people, and proves nothing.
    """
    found = []
    for path in islice((folder / FOLDER).glob("*"), _MOST):
        with suppress(SggError, OSError):
            if (note := read_record(path, Signature)) is not None:
                found.append(note)
    return sorted(found, key=lambda note: note.time)


def is_signed(folder: Path, content: bytes) -> bool:
    """Whether this user has made or accepted this content of the folder; False without a secret."""
    try:
        name = _mac(content)
    except SggError:
        return False
    return (folder / FOLDER / name).is_file()


def sign_run(run_dir: Path) -> None:
    """Say that the frozen config is the user's, or accepted."""
    sign(run_dir, _of_run(run_dir))


def is_signed_run(run_dir: Path) -> bool:
    """Whether this user has made or accepted the frozen config of a run.

    Raises:
        OSError: there is none that can be read.

    """
    return is_signed(run_dir, _of_run(run_dir))


def _of_run(run_dir: Path) -> bytes:
    with opened(run_dir / FROZEN_NAME, "rb") as file:
        return b"run\n" + file.read(MAX_BYTES + 1)


def _mac(content: bytes) -> str:
    secret = users_secret("Signatures of run folders")
    return hmac.new(secret, b"sgg\n" + content, hashlib.sha256).hexdigest()
