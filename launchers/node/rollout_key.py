"""The key that a run's ranks and rollout servers share: derived from the user's secret and never stored.

All nodes must have it without talking, and it may be in no config, log or run folder.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from sgg.runs.users_secret import users_secret


def rollout_key(run_dir: Path, attempt: str) -> str:
    """The key of this start of a run.

    Raises:
        SggError: there is no place for the user's secret, or what is there is none.

    """
    said = f"{run_dir.resolve()} {attempt}".encode()
    return hmac.new(users_secret("Rollout servers"), said, hashlib.sha256).hexdigest()
