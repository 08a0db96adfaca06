"""From a path to the rows of a prediction file, our own or somebody else's, each with its place in it.

Input: a run folder, lines of JSON objects (plain or by gzip), a folder of JSON files, or one JSON object
with an entry for each image. Output: each row once, for its form to be looked at, and what reads it
again: lines stay on disk (of `.gz` files and gathered ones excepted), so a file may be large.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sgg.config.frozen import FROZEN_NAME
from sgg.data.packed import DAMAGED, is_packed, lines_of, open_unpacked
from sgg.errors import SggError
from sgg.files import refuse_link
from sgg.runs.folder import COMPLETIONS

log = logging.getLogger("sgg")

Row = dict[str, Any]
FORMS = (
    "Known are: completions.jsonl of a run, one graph a line, R1-SGG's one JSON file an image, "
    "and its gathered file (docs/metrics.md)."
)
_OTHER_CODES = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""UTF-32 in the other order begins like UTF-16."""


_WHOLE_BYTES = 256 << 20
"""Longest file of JSON that is read whole."""


class _KeyTwice(ValueError):
    """An object gives a key twice, and only who wrote it knows which value is meant."""


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _KeyTwice(f"{json.dumps(key[:60])} is given twice in one object; leave one")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


class Reader(Protocol):
    """Reads one row, as often as it is asked to."""

    @property
    def where(self) -> str:
        """The row's place in the file or folder."""

    def __call__(self) -> Row:
        """The row."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row in memory."""

    where: str
    row: Row

    def __call__(self) -> Row:
        """See `Reader`."""
        return self.row


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is one row."""

    path: Path

    @property
    def where(self) -> str:
        return self.path.name

    def __call__(self) -> Row:
        return _load(self.path)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row at a place of an open file; any number of processes may read it."""

    handle: int
    start: int
    length: int
    number: int

    @property
    def where(self) -> str:
        return f"line {self.number}"

    def __call__(self) -> Row:
        row: Row = json.loads(os.pread(self.handle, self.length, self.start))
        return row


def find(path: Path) -> Path:
    """The file or folder to read: of a run folder, its completions.

    Raises:
        SggError: nothing is there.
        OSError: the run folder's completions are a symbolic link.

    """
    if not path.exists():
        key, _, value = str(path).partition("=")
        way_out = f" It comes without a key: {value}" if value and key.isidentifier() else ""
        raise SggError(f"{path}: no such file or folder.{way_out}")
    if path.is_dir():
        for name in (COMPLETIONS, f"{COMPLETIONS}.gz"):
            if (path / name).is_file():
                refuse_link(path / name)
                return path / name
        if (path / FROZEN_NAME).is_file():
            raise SggError(
                f"{path}: a run folder without {COMPLETIONS}. Only stage=eval leaves one, when "
                f"all images have a completion: sgg resume {path} finishes it, sgg stage=eval "
                f"model.path={path} evaluates a trained model."
            )
    return path


def is_gathered(path: Path) -> bool:
    """Whether the file is one JSON object with an entry for each image, by its name."""
    return path.is_file() and path.name.removesuffix(".gz").endswith(".json")


def rows(path: Path) -> Iterator[tuple[Row, Reader]]:
    """All rows of a folder of JSON files or of a file of lines, in their order.

    Raises:
        SggError: one cannot be read; the message names file and line.

    """
    if not path.is_dir():
        yield from _lines(path)
        return
    files = sorted(path.glob("*.json"))
    if not files:
        raise SggError(f"{path}: neither {COMPLETIONS} nor one JSON file an image in this folder.")
    for file in files:
        yield _load(file), _File(file)


def gathered(path: Path) -> Iterator[tuple[str, Row]]:
    """Image id and entry of each image of a gathered file."""
    for image_id, row in _load(path).items():
        if not isinstance(row, dict) or "boxes" not in row:
            raise SggError(f"{path}: image {image_id} has no boxes. {FORMS}")
        yield image_id, {"graph": None, **row}


def _lines(path: Path) -> Iterator[tuple[Row, Reader]]:
    packed = is_packed(path)
    handle, start = -1 if packed else os.open(path, os.O_RDONLY), 0
    try:
        with open_unpacked(path) as file:
            for number, line in enumerate(lines_of(file, path), 1):
                content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                row = _row(content, f"{path}, line {number}", number == 1)
                if row is not None:
                    begin = start + len(line) - len(content)
                    place = _Line(handle, begin, len(content), number)
                    yield row, Held(place.where, row) if packed else place
                start += len(line)
    except DAMAGED as error:
        raise SggError(f"{path}: damaged gzip data ({error}). Copy the file again.") from error


def _row(line: bytes, where: str, first: bool) -> Row | None:
    """None for a blank line, and for a last one that was cut short."""
    if line.startswith(_OTHER_CODES) or b"\0" in line:
        raise SggError(f"{where} is not UTF-8 but UTF-16 or the like. Write the file as UTF-8.")
    if not line.strip():
        return None
    try:
        row = _DECODER.decode(line.decode("utf-8"))
    except _KeyTwice as error:
        raise SggError(f"{where}: {error}.") from error
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n") and not first:
            log.warning("%s is the last one and cut short: it is left out.", where)
            return None
        raise SggError(f"{where} is no JSON ({_short(error)}).{_hint(line)}") from error
    if not isinstance(row, dict):
        raise SggError(f"{where} is no JSON object.{_hint(line)}")
    return row


def _hint(line: bytes) -> str:
    if line.lstrip().startswith(b"["):
        return " Write an array's items one a line: jq -c '.[]' FILE > lines.jsonl"
    return f" {FORMS}"


def _load(path: Path) -> Row:
    try:
        with open_unpacked(path) as file:
            content = file.read(_WHOLE_BYTES + 1)
        if len(content) > _WHOLE_BYTES:
            raise SggError(
                f"{path}: longer than {_WHOLE_BYTES >> 20} MiB. Write lines of JSON instead."
            )
        row = _DECODER.decode(content.decode("utf-8-sig"))
    except SggError:
        raise
    except _KeyTwice as error:
        raise SggError(f"{path}: {error}.") from error
    except (ValueError, RecursionError, *DAMAGED) as error:
        is_lines = str(error).startswith("Extra data")
        hint = " A file that has one row a line ends in .jsonl: rename it." if is_lines else ""
        raise SggError(f"{path} is no JSON ({_short(error)}).{hint} {FORMS}") from error
    if not isinstance(row, dict):
        raise SggError(f"{path} is no JSON object. {FORMS}")
    return row


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
