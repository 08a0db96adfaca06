"""The key that a run's ranks and rollout servers share: derived from a secret of the user and never stored.

All nodes must have it without talking, and it may be in no config, log or run folder. So it is derived
from a file that only its owner can read, in a home that the nodes share.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sgg.errors import SggError


def rollout_key(run_dir: Path, attempt: str) -> str:
    """The key of this start of a run.

    Raises:
        SggError: there is no place for the user's secret.

    """
    said = f"{run_dir.resolve()} {attempt}".encode()
    return hmac.new(_users_secret(), said, hashlib.sha256).hexdigest()


def _users_secret() -> bytes:
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(home) / "sgg" / "secret"
    try:
        if not path.is_file():
            _make(path)
        return path.read_bytes()
    except OSError as error:
        raise SggError(
            f"Rollout servers need a secret in {path}: {error}. Let XDG_CONFIG_HOME name a folder that all "
            "nodes of the run can read, and this user write."
        ) from error


def _make(path: Path) -> None:
    """Whole or not at all, and the first of several makers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"secret.{os.uname().nodename}.{os.getpid()}")
    with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
