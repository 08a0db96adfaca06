"""What a folder of code holds, as one number: names, bytes and links, but for Python's own bytecode."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_BYTECODE = "__pycache__"


def code_digest(folder: Path) -> str:
    """SHA-256 in hexadecimal of all files below a folder. A link counts by where it points to."""
    total = hashlib.sha256()
    for path in _entries(folder):
        name = os.fsencode(path.relative_to(folder))
        if path.is_symlink():
            kind, content = b"link", os.fsencode(path.readlink())
        elif path.is_file():
            kind, content = b"file", path.read_bytes()
        else:
            kind, content = b"other", b""
        for part in (kind, name, content):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def forget_bytecode(folder: Path) -> None:
    """Remove what Python has kept of a folder of code; it compiles the code again."""
    for place, _, files in os.walk(folder):
        if Path(place).name == _BYTECODE:
            for name in files:
                Path(place, name).unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    """Files and links below a folder, in an order that is the same everywhere."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        found += [Path(place, name) for name in (*files, *links)]
        folders[:] = [name for name in folders if name != _BYTECODE]
    return sorted(found)
