"""What a source's reader offers, and small helpers that several readers share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol

from sgg.data import written
from sgg.data.example import RawExample
from sgg.data.fields import WrongForm
from sgg.data.packed import DAMAGED, open_unpacked
from sgg.data.vocab_file import is_name
from sgg.errors import SggError
from sgg.files import opened
from sgg.scene.graph import Triplet


class Reader(Protocol):
    """One split of a source: a sequence of rows, safe to fork once its length was asked.

    Opening one only looks for the files; they are read with the first row, so that a prepared table
    is found without parsing its source.
    """

    zero_shot: frozenset[Triplet]
    """Canonical triplets unseen in training, as the source lists them; empty if it does not."""

    @property
    def remarks(self) -> Sequence[str]:
        """What it chose among several files or missed as a whole, in sentences."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> RawExample:
        """One row, unchecked; a row that cannot be read says so in `broken`."""
        ...

    def identity(self) -> str:
        """Changes whenever the source's content does."""
        ...


ROW_ERRORS = (
    ArithmeticError,  # int(inf), float(10**400)
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a stranger's row can raise when it has not the source's form."""

_WHOLE_TABLE_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20


def file_identity(paths: Iterable[Path], tables: bool = False) -> str:
    """Digest of names, sizes and contents.

    Tables carry images and may take hundreds of GB: of those above 64 MB only head and tail are
    read. Parquet's index of all its pages stands at the tail.

    Raises:
        SggError: one is no regular file, such as a named pipe, which is not waited for.

    """
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with opened(path.resolve(), "rb") as file:
            if tables and size > _WHOLE_TABLE_BYTES:
                digest.update(file.read(_BLOCK_BYTES))
                file.seek(-_BLOCK_BYTES, 2)
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def image_digest(image: bytes | Path, whole: bool) -> str:
    """What tells images apart: their bytes, or, unless `whole`, their length, first and last 64 kB.

    Raises:
        OSError: the file cannot be read.

    """
    content = image if isinstance(image, bytes) else _ends(image, whole)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


_END_BYTES = 64 << 10


def _ends(path: Path, whole: bool) -> bytes:
    size = path.stat().st_size
    if whole or size <= 2 * _END_BYTES:
        return path.read_bytes()
    with path.open("rb") as file:
        head = file.read(_END_BYTES)
        file.seek(-_END_BYTES, 2)
        return head + file.read() + str(size).encode()


def load_json(path: Path, key: str) -> Any:
    """A JSON file, gzipped or not.

    Raises:
        SggError: the file is missing, too large or no JSON; the message names the config key.

    """
    existing_file(path, key)
    try:
        with open_unpacked(path) as file:
            return json.loads(file.read().decode("utf-8-sig"))
    except SggError as error:
        raise SggError(f"{key}: {error}") from error
    except MemoryError as error:
        raise too_large(path, key) from error
    except (ValueError, RecursionError, *DAMAGED) as error:
        raise SggError(f"{key}: {path} is no valid JSON file ({error}).") from error


def too_large(path: Path, key: str) -> SggError:
    """The error for an annotation file that memory does not hold."""
    size = path.stat().st_size >> 20
    return SggError(
        f"{key}: {path} ({size:,} MiB on the disk) does not fit into memory. Split it, or take a machine "
        "with more."
    )


def read_lines(path: Path, key: str) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, gzipped or not.

    Raises:
        SggError: a line is no JSON object; the message names the config key and the line.

    """
    rows: list[dict[str, Any]] = []
    try:
        with TextIOWrapper(open_unpacked(path), encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line) if line.strip() else None
                if isinstance(row, dict):
                    rows.append(row)
                elif row is not None:
                    raise SggError(f"{key}: {path}:{number} is no JSON object.")
    except (json.JSONDecodeError, UnicodeDecodeError, OSError, *DAMAGED) as error:
        raise SggError(f"{key}: {path} is no valid JSON lines file ({error}).") from error
    return rows


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
    """The file in the folder that fits the first pattern which any file fits.

    Of several the plainest, whose name has nothing in the star's place: VG-SGG.h5 of VG-SGG*.h5.

    Raises:
        SggError: no file fits a pattern, or several do and none is the plainest.

    """
    patterns = list(patterns)
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        plainest = folder / pattern.replace("*", "")
        if plainest in found:
            return plainest
        if len(found) > 1:
            raise one_too_many(folder, found, key)
        if found:
            return found[0]
    names = sorted(p.name for p in folder.iterdir())[:12]
    raise SggError(
        f"{key}={folder}: found none of {', '.join(patterns)}. "
        f"The folder has: {', '.join(names) or 'nothing'}."
    )


def one_too_many(folder: Path, found: Sequence[Path], key: str) -> SggError:
    """The error where several files of a folder fit, and nothing says which is meant."""
    names = ", ".join(path.name for path in found)
    return SggError(
        f"{key}={folder}: {names} all fit, and only one can be read. Leave one of them in the folder."
    )


def file_ref(folder: Path | None, name: str) -> str:
    """The reference of an image file for `ImageStore`; empty without a folder."""
    return f"file:{folder / name}" if folder is not None else ""


def distinct_ids(
    names: Iterable[str], shorten: Callable[[Path], str], given: Collection[str] = ()
) -> dict[str, str]:
    """An image id for each file name: shortened, but whole where another file or image has that id.

    >>> distinct_ids(["a.jpg", "a.png", "b.jpg"], lambda path: path.stem)
    {'a.jpg': 'a.jpg', 'a.png': 'a.png', 'b.jpg': 'b'}
    """
    whole = {name: str(Path(name)) for name in names}
    short = {name: shorten(Path(name)) if Path(name).name else name for name in whole}
    files: dict[str, set[str]] = {}
    for name, path in whole.items():
        files.setdefault(short[name], set()).add(path)
        files.setdefault(path, set()).add(path)
    return {
        name: path if len(files[short[name]]) > 1 or short[name] in given else short[name]
        for name, path in whole.items()
    }


def unreadable(row: Any, index: int, error: Exception, file: str = "") -> RawExample:
    """What a reader returns for a row that has not the source's form."""
    given = row.get("image_id") if isinstance(row, dict) else None
    return RawExample.unreadable(f"#{index}" if given is None else str(given), error, file)


def at(
    names: Sequence[Any] | Mapping[int, Any], number: Any, kind: str, before: int = 0
) -> tuple[str, str]:
    """The name of a class id and "", or what is listed there and the kind, if that is no name.

    Args:
        kind: "no_class" or "no_predicate".
        before: how much lower the file counts than the names do.

    Raises:
        WrongForm: there is none; a negative id is not Python's count from the end, nor a truth value an id.

    """
    if isinstance(names, Mapping):
        known: Collection[int] = names.keys()
        there_are = f"the dicts have {len(names)}"
    else:
        known = range(len(names))
        there_are = f"there are {len(names)}, from 0 on"
    is_id = isinstance(number, int) and not isinstance(number, bool)
    if not is_id or number + before not in known:
        raise WrongForm(f"no name has the id {number!r}: {there_are}")
    name = names[number + before]
    return str(name), "" if is_name(name) else kind


def id_at(ids: list[str], index: int) -> str:
    """The id at an index, or a name that no object has: the relation then counts as dangling."""
    return ids[index] if 0 <= written.index(index) < len(ids) else f"missing #{index}"
