"""A checkpoint that its libraries cannot read is a user's problem, whatever they raise about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgg.errors import SggError
from sgg.explain.exceptions import explain


@contextmanager
def explained_as_damaged(folder: Path) -> Iterator[None]:
    """Turn what transformers, tokenizers and PEFT raise of the files of a checkpoint into an SggError.

    Raises:
        SggError: the files cannot be read; the message has the library's first line.

    """
    try:
        yield
    except Exception as error:
        if isinstance(error, ImportError) or explain(error) is not None:
            raise
        first = next(iter(str(error).strip().splitlines()), "")[:300]
        raise SggError(
            f"{folder}: the checkpoint cannot be used ({type(error).__name__}: {first}). Copy it again, or "
            "take another. SGG_TRACEBACK=1 shows where it fails."
        ) from error
