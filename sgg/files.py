"""Small files of runs and sweeps: whole or not there, for every reader, also after the machine went down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a file on the disk first, then under its name; another host may write the same one meanwhile."""
    partial = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """The same of a JSON file."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where there is none, or one that cannot be read.

    Files of earlier versions may be empty after the machine went down.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def put_back(files: Iterable[Path], after: type[Exception]) -> Iterator[None]:
    """If the block ends by such an error, these files are as they were before it, or gone again."""
    before = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in files}
    try:
        yield
    except after:
        for path, text in before.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, text)
        raise
