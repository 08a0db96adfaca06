"""Messages for errors of libraries and of the operating system.

Output: a message that names key, value and what is allowed, or None for a bug, which deserves its
traceback.
"""

from __future__ import annotations

import errno
import re

from sgg.errors import SggError
from sgg.explain.config import explain_composing, explain_config


def explain(error: BaseException) -> str | None:
    """The message for a user, or None if the error is a bug that deserves its traceback."""
    if isinstance(error, SggError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _OS_HELP:
        return _explain_os(error)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib's expanduser
        return "A path begins with ~NAME, and this machine has no user of that name. Write the whole path."
    if type(error).__module__.partition(".")[0] in ("hydra", "omegaconf"):
        return explain_config(error)
    if (told := explain_composing(error)) is not None:
        return told
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY} ({str(error).splitlines()[0]})"
    if (full := what_is_full(error)) is not None:
        return f"{full[0].upper()}{full[1:]}. {_OS_HELP[errno.ENOSPC]}"
    return None


OUT_OF_MEMORY = (
    "The GPU's memory is full. Smaller: stage.micro_batch (training), generate.batch_size (evaluation), "
    "stage.max_pixels; or spread the weights with deepspeed=zero2 or zero3."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU's memory did not suffice: torch's error, known by its name to spare loading torch."""
    return type(error).__name__ == "OutOfMemoryError"


def what_is_full(error: BaseException) -> str | None:
    """The disk or the quota that kept something from being written; None for any other error."""
    if isinstance(error, OSError) and error.errno == errno.EDQUOT:
        return "the disk quota is used up"
    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    # safetensors and torch.save have types of their own for it
    if is_full or _WRITE_FAILED.search(str(error)):
        return "the disk is full"
    return None


_WRITE_FAILED = re.compile(r"No space left on device|file write failed|unexpected pos \d+ vs")

_OS_HELP = {
    errno.ENOSPC: "Free space, or write elsewhere with paths.root=DIR (paths.cache=DIR for prepared data).",
    errno.EDQUOT: "Free space, or write elsewhere with paths.root=DIR (paths.cache=DIR for prepared data).",
    errno.EROFS: "The file system is read-only. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data).",
    errno.EACCES: "No permission. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data), or mend the folder's rights.",
    errno.ELOOP: "Folders are passed around, so nothing is read or written through a symbolic link in one. "
    "Name the folder that it points to, or put the file itself there.",
    errno.ENOTDIR: "A part of the path is a file, not a folder. "
    "Name another place with paths.root=DIR or paths.run_dir=DIR.",
}


def _explain_os(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}. {_OS_HELP[error.errno or 0]}"
