"""What a source's reader offers, and small helpers that several readers share."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from sgg.data.example import RawExample
from sgg.errors import SggError
from sgg.graph import Triplet


class Reader(Protocol):
    """One split of a source: a sequence of rows that is cheap to open and safe to fork."""

    zero_shot: frozenset[Triplet]
    """Canonical triplets unseen in training, as the source lists them; empty if it does not."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> RawExample:
        """One row, unchecked; a row that cannot be read says so in `broken`."""
        ...

    def identity(self) -> str:
        """Changes whenever the source's content does."""
        ...


_WHOLE_FILE_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 20


def file_identity(paths: Iterable[Path]) -> str:
    """Digest of names, sizes and contents (of head and tail for files above 64 MB)."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_FILE_BYTES:
                digest.update(file.read())
            else:
                digest.update(file.read(_SAMPLE_BYTES))
                file.seek(-_SAMPLE_BYTES, 2)
                digest.update(file.read())
    return digest.hexdigest()


def load_json(path: Path, key: str) -> Any:
    """A JSON file, gzipped or not.

    Raises:
        SggError: the file is missing or no JSON; the message names the config key.

    """
    existing_file(path, key)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise SggError(f"{key}: {path} is no valid JSON file ({error}).") from error


def existing_file(path: Path, key: str) -> Path:
    """The path, if it is a file; else an error that names the config key."""
    if not path.is_file():
        beside = ""
        if path.parent.is_dir():
            names = sorted(p.name for p in path.parent.iterdir())[:12]
            beside = f" The folder has: {', '.join(names) or 'nothing'}."
        raise SggError(f"{key}: no file {path}.{beside}")
    return path


def existing_folder(path: str | Path | None, key: str) -> Path:
    """The folder, if it is there; else an error that names the config key."""
    if path is None:
        raise SggError(f"{key} must be given: the folder that holds the data set (docs/data.md).")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise SggError(f"{key}={path}: no such folder. Give the folder that holds the data set.")
    return folder


def find_file(folder: Path, patterns: Iterable[str], key: str) -> Path:
    """The first file in the folder that fits one of the patterns."""
    patterns = list(patterns)
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return path
    names = sorted(p.name for p in folder.iterdir())[:12]
    raise SggError(
        f"{key}={folder}: found none of {', '.join(patterns)}. "
        f"The folder has: {', '.join(names) or 'nothing'}."
    )


def file_ref(folder: Path | None, name: str) -> str:
    """The reference of a picture file for `ImageStore`; empty without a folder."""
    return f"file:{(folder / name).resolve()}" if folder is not None else ""


def id_at(ids: list[str], index: int) -> str:
    """The id at an index, or a name that no object has: the relation then counts as dangling."""
    return ids[index] if 0 <= index < len(ids) else f"missing #{index}"
