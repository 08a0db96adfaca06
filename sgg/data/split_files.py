"""Which of several annotation files a split is read from: the one whose name says so, or an error.

A file of another split is never taken: that would train on test images, or test on training images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sgg.errors import SggError

SPLITS = ("train", "val", "test")
_MEANT = {
    "train": ("train",),
    "training": ("train",),
    "trainval": ("train", "val"),
    "val": ("val",),
    "valid": ("val",),
    "validation": ("val",),
    "dev": ("val",),
    "test": ("test",),
    "testing": ("test",),
}
"""Splits by the words that state them."""


def split_words(file: Path, below: Path | None = None) -> tuple[str, ...]:
    """The splits that a file's name states, in the order of `SPLITS`: psg_train_val.json -> train, val.

    Args:
        below: a folder; the names of folders between it and the file count, too.

    """
    return stated(file.name if below is None else str(file.relative_to(below)))


def stated(name: str) -> tuple[str, ...]:
    """The splits that a name states: instances_train2017 -> train."""
    words = {split for word in re.findall("[a-z]+", name.lower()) for split in _MEANT.get(word, ())}
    return tuple(split for split in SPLITS if split in words)


def json_files(folder: Path, stem: str) -> list[Path]:
    """Files `stem*.json` and `stem*.json.gz`; of two of one name the plain one."""
    plain = sorted(folder.glob(f"{stem}*.json"))
    packed = sorted(folder.glob(f"{stem}*.json.gz"))
    return plain + [file for file in packed if file.with_suffix("") not in plain]


def file_of_split(
    files: Sequence[Path], split: str, key: str, shared: bool = False, below: Path | None = None
) -> Path:
    """The file of a split: the one that its name states, else the one whose name states none.

    Args:
        files: at least one.
        key: the config's name for the file's path.
        shared: whether a file may hold several splits and says itself which image is in which.
        below: as in `split_words`.

    Raises:
        SggError: there is none, or more than one.

    """
    splits = {file: split_words(file, below) for file in files}
    fitting = [[f for f in files if splits[f] == (split,)]]
    if shared:
        fitting.append([f for f in files if split in splits[f]])
    fitting.append([f for f in files if not splits[f]])
    for found in fitting:
        if len(found) == 1:
            return found[0]
        if found:
            raise several(found, f"split {split}", key)
    name = key.replace(".path", ".name")
    raise SggError(
        f"{key}: data.root has {', '.join(f.name for f in files)}, nothing for split {split}. "
        f"Choose another split by {name}, or name the file by {key}."
    )


def several(files: Sequence[Path], what: str, key: str) -> SggError:
    """The error where more than one file fits."""
    names = ", ".join(file.name for file in files)
    return SggError(f"{key}: {names} all fit {what}, and only one can be read. Name it by {key}.")
