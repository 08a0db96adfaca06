"""What a user did or met, said in words: the only errors that are shown without a traceback.

`SggError` is raised by this project with the whole message. `explain` turns the errors of Hydra,
OmegaConf and the operating system into such a message, and leaves bugs alone.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable


class SggError(ValueError):
    """A mistake or a circumstance that a user can mend; the message names the key and the way out."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest allowed word, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def explain(error: BaseException) -> str | None:
    """The message for a user, or None if the error is a bug that deserves its traceback."""
    if isinstance(error, SggError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _OS_HELP:
        return _explain_os(error)
    module = type(error).__module__.partition(".")[0]
    if module in ("hydra", "omegaconf"):
        from sgg.config_errors import explain_config

        return explain_config(error)
    if _WRITE_FAILED.search(
        str(error)
    ):  # safetensors and torch.save wrap ENOSPC in their own types
        return f"{_OS_HELP[errno.ENOSPC]}\n  ({error})"
    return None


_WRITE_FAILED = re.compile(r"No space left on device|file write failed|unexpected pos \d+ vs")

_OS_HELP = {
    errno.ENOSPC: "The disk is full. Free space, or write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data); then go on with resume=RUN_DIR.",
    errno.EDQUOT: "The disk quota is used up. Free space, or write elsewhere with paths.root=DIR.",
    errno.EROFS: "The file system is read-only. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data).",
    errno.EACCES: "No permission. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data), or mend the folder's rights.",
    errno.ENOTDIR: "A part of the path is a file, not a folder. "
    "Name another place with paths.root=DIR or paths.run_dir=DIR.",
}


def _explain_os(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}. {_OS_HELP[error.errno or 0]}"
