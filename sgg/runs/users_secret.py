"""The secret of the user, from which keys are derived: a file in the home that only its owner can read.

A home that nodes share gives all of them the same one. It is made when it is first asked for, and is in no
config, log or run folder.
"""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import stat
from pathlib import Path

from sgg.errors import SggError
from sgg.files import opened, write_first

SECRET_HOME_VARIABLE = "SGG_SECRET_HOME"
"""Environment variable of supervised processes: where who started them looks for the secret.

Their own environment is the config's, which may give them another home (`hardware.environment`).
"""

_BYTES = 32
_OTHER_FOLDER = (
    "Let XDG_CONFIG_HOME name a folder that all nodes of the run can read, and this user write."
)


def users_secret(purpose: str) -> bytes:
    """The secret, at least 32 bytes.

    Args:
        purpose: what needs it, to begin a message with.

    Raises:
        SggError: there is no place for it, or the file that is there is no secret of this user.

    """
    path = _config_folder(purpose) / "sgg" / "secret"
    is_new = False
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            is_new = write_first(path, secrets.token_bytes(_BYTES), permissions=0o600)
        with opened(path, "rb") as file:
            found, content = os.fstat(file.fileno()), file.read()
    except OSError as error:
        way = _OTHER_FOLDER if error.errno != errno.ELOOP else "Put a regular file there."
        raise SggError(f"{purpose} need a secret in {path}: {error}. {way}") from error
    if problem := _problem(found, content):
        if is_new:
            path.unlink(missing_ok=True)
            raise SggError(
                f"{path}: {problem}, although it was just made: the disk keeps no rights. {_OTHER_FOLDER}"
            )
        raise SggError(
            f"{path}: {problem}, so it keeps nothing secret. Remove it, and the next run makes another: "
            f"rm {shlex.quote(str(path))}"
        )
    return bytes(content)


def place_of_secret() -> dict[str, str]:
    """The variable by which processes find the secret that this one finds; none where there is no home."""
    try:
        return {SECRET_HOME_VARIABLE: str(_config_folder("Started processes").absolute())}
    except SggError:
        return {}


def _config_folder(purpose: str) -> Path:
    """Where this user's configuration lies.

    Raises:
        SggError: the user has no home, as in a container with a user number of its own.

    """
    if named := os.environ.get(SECRET_HOME_VARIABLE) or os.environ.get("XDG_CONFIG_HOME"):
        return Path(named)
    try:
        return Path.home() / ".config"
    except RuntimeError as error:
        raise SggError(
            f"{purpose} need a secret, and this user has no home. {_OTHER_FOLDER}"
        ) from error


def _problem(found: os.stat_result, content: bytes) -> str:
    """Why a file cannot be a secret; empty if it can."""
    if found.st_uid != os.getuid():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o077:
        return f"its rights are {stat.S_IMODE(found.st_mode):03o} instead of 600"
    return f"it holds {len(content)} bytes of {_BYTES}" if len(content) < _BYTES else ""
