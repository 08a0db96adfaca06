"""Where the image files are that published rows name instead of holding them.

Input: a name as whoever made the table wrote it (relative, or absolute on another machine) and the
folders that may hold the file. Output: the file, or all places that were looked at. A longer part of the
name is tried before a shorter one, and never one so short that two rows of the table would share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple


class Found(NamedTuple):
    """An image file, or none, and the places that were looked at in vain."""

    file: Path | None
    looked: tuple[str, ...]


@dataclass(frozen=True)
class Places:
    """The folders, in the order of the search."""

    images: Path | None
    """`data.image_folder`: the images' own folder, so that names may lose all their folders there."""
    others: tuple[Path, ...]
    """`data.root` and the folders of the table."""
    shortest: int = 1
    """Parts at the end of a name that tell all names of the table apart."""

    def find(self, name: str) -> Found:
        """The file of a name."""
        pure = _pure(name)
        looked: list[str] = []
        for candidate in self._candidates(pure):
            if candidate.is_file():
                return Found(candidate, tuple(looked))
            looked.append(str(candidate))
        return Found(None, tuple(dict.fromkeys(looked)))

    def _candidates(self, name: PurePath) -> Iterator[Path]:
        if name.is_absolute():
            yield Path(name)
        parts = name.parts[1:] if name.anchor else name.parts
        folders = ([self.images] if self.images else []) + list(self.others)
        for dropped in range(max(1, len(parts) - self.shortest + 1)):
            for folder in dict.fromkeys(folders):
                if not dropped or self._may_drop(folder, parts[:dropped], bool(name.anchor)):
                    yield folder.joinpath(*parts[dropped:])

    def _may_drop(self, folder: Path, dropped: Sequence[str], is_absolute: bool) -> bool:
        """Whether a file may lie in the folder without the first parts of its name.

        Those of another machine mean nothing here; those of a relative name only where the folder is the
        images' own, or is the one that they name.
        """
        return (
            is_absolute or folder == self.images or folder.parts[-len(dropped) :] == tuple(dropped)
        )


def shortest_names(names: Iterable[str]) -> int:
    """Parts at the end that tell all names apart as well as the whole names do."""
    parts = {_pure(name).parts for name in names}
    longest = max(map(len, parts), default=1)
    return next(
        (n for n in range(1, longest) if len({p[-n:] for p in parts}) == len(parts)), longest
    )


def names_in(table: Any) -> list[str]:
    """The image files that an undecoded table names, without reading the images it holds."""
    import pyarrow.compute as compute

    if not hasattr(table, "data"):  # JSON lines
        return [n for i in range(len(table)) if (n := name_of(table[i].get("image")))]
    column = table.data.column("image")
    named = compute.struct_field(column, "path").filter(
        compute.is_null(compute.struct_field(column, "bytes"))
    )
    return [n for n in compute.unique(named).to_pylist() if n]


def name_of(value: Any) -> str:
    """The file that a row's image is in; empty if the row holds the image or has none."""
    if isinstance(value, str):
        return value
    if value is None or value.get("bytes") is not None:
        return ""
    return value.get("path") or ""


def _pure(name: str) -> PurePath:
    """The name as its own system reads it."""
    windows = PureWindowsPath(name)
    return windows if "\\" in name or windows.drive else PurePosixPath(name)
