"""Explains resource errors (a full disk, too little GPU memory) and names the command that resumes the run.

Output: a message with the file, the folder and the command that resumes this run.
"""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError, behind
from sgg.explain.exceptions import OUT_OF_MEMORY, is_out_of_memory, what_is_full


@contextmanager
def explained(folders: Sequence[Path], resume_command: str) -> Iterator[None]:
    """Turn such an error of the block into an SggError.

    Args:
        folders: where the block writes, the run's folder first.
        resume_command: the command that resumes the run.

    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SggError):
            raise
        if is_out_of_memory(error):
            first = str(error).splitlines()[0]
            raise SggError(
                f"{OUT_OF_MEMORY} Then resume with: {resume_command}\n  ({first})"
            ) from error
        if (full := what_is_full(error)) is None:
            raise
        file = _written_by(error, folders)
        holds = shutil.disk_usage(folders[0] if file is None else file.parent).total / 1e6
        raise SggError(
            f"{file or folders[0]}: {full} (it holds {holds:,.1f} MB). Free some space, then resume with: "
            f"{resume_command}\n"
            "Another run can write elsewhere: paths.root=DIR, prepared data paths.cache=DIR."
        ) from error


def _written_by(error: BaseException, folders: Sequence[Path]) -> Path | None:
    """The file that was being written: an error of a failed write does not name it, its frames do."""
    for cause in (error, *behind(error)):
        frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
        named = [getattr(cause, "filename", None)]
        named += [value for frame in reversed(frames) for value in frame.f_locals.values()]
        for value in named:
            if (file := _file_below(value, folders)) is not None:
                return file
    return None


def _file_below(value: Any, folders: Sequence[Path]) -> Path | None:
    """The file below one of the folders that a path, or an open file, is; it may be removed already."""
    if hasattr(type(value), "fileno"):
        value = getattr(value, "name", None)
    if not isinstance(value, str | os.PathLike) or len(str(value)) > 4000 or "\0" in str(value):
        return None
    path = Path(os.path.abspath(value))  # noqa: PTH100  # links are not followed: it is what was named
    below = any(path.is_relative_to(os.path.abspath(folder)) for folder in folders)  # noqa: PTH100
    is_one = below and path.suffix and path.name != FROZEN_NAME and not path.is_dir()
    return path if is_one else None
