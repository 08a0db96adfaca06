"""The secret of the user, from which keys are derived: a file in the home that only its owner can read.

A home that nodes share gives all of them the same one. It is made when it is first asked for, and is in no
config, log or run folder.
"""

from __future__ import annotations

import os
import secrets
import shlex
import stat
from pathlib import Path

from sgg.errors import SggError
from sgg.files import opened, write_first

_BYTES = 32


def users_secret(purpose: str) -> bytes:
    """The secret, at least 32 bytes.

    Args:
        purpose: what needs it, to begin a message with.

    Raises:
        SggError: there is no place for it, or the file that is there is no secret of this user.

    """
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(home) / "sgg" / "secret"
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_first(path, secrets.token_bytes(_BYTES), permissions=0o600)
        with opened(path, "rb") as file:
            found, content = os.fstat(file.fileno()), file.read()
    except OSError as error:
        raise SggError(
            f"{purpose} need a secret in {path}: {error}. Let XDG_CONFIG_HOME name a folder that all "
            "nodes of the run can read, and this user write."
        ) from error
    if problem := _problem(found, content):
        raise SggError(
            f"{path}: {problem}, so it keeps nothing secret. Remove it, and the next run makes another: "
            f"rm {shlex.quote(str(path))}"
        )
    return bytes(content)


def _problem(found: os.stat_result, content: bytes) -> str:
    """Why a file cannot be a secret; empty if it can."""
    if found.st_uid != os.getuid():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o077:
        return f"its rights are {stat.S_IMODE(found.st_mode):03o} instead of 600"
    return f"it holds {len(content)} bytes of {_BYTES}" if len(content) < _BYTES else ""
