"""The published row format: image_id, image, prompt_open, prompt_close, objects, relationships.

The last two are JSON strings (or lists), boxes xyxy in pixels. Read from a hub id, a folder written
by `save_to_disk`, parquet / Arrow files, or JSON lines (gold without pictures). The picture stays in
the source and is fetched by row; its column may hold `datasets` images, bytes, or structs of bytes
and path.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample
from sgg.data.images import look, row_picture
from sgg.data.jsonl import parse_items
from sgg.data.reader import ROW_ERRORS, file_identity, read_lines
from sgg.errors import SggError
from sgg.graph import Triplet

REQUIRED = ("image_id", "image", "objects", "relationships")
SIZE = "image_size"
"""Column of gold without pictures: [width, height], pixels."""
PROMPTS = ("prompt_open", "prompt_close")


class RowsReader:
    """One split of a data set in the published format."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(
        self, path: str, split: str | None, key: str, decode: bool = True, pictures: bool = True
    ) -> None:
        """Without `pictures` the size may stand in a column `image_size` instead of in the image."""
        self._decode = decode
        self._table, self._identity = open_table(path, split, key)
        found = self._table.column_names
        self._sized = not pictures and SIZE in found
        missing = [c for c in REQUIRED if c not in found and not (c == "image" and self._sized)]
        if missing == ["image"] and SIZE in found:
            raise SggError(
                f"{key}={path}: gold without pictures. Set data.pictures=painted to go without."
            )
        if missing:
            raise SggError(
                f"{key}={path}: columns {', '.join(missing)} are missing. Needed: "
                f"{', '.join(REQUIRED)}; found: {', '.join(self._table.column_names)}."
            )

    def __len__(self) -> int:
        return len(self._table)

    def identity(self) -> str:
        """Digest of the files or of the hub revision."""
        return self._identity

    def read(self, index: int) -> RawExample:
        """One row; see `Reader.read`."""
        row = self._table[index]
        image_id = str(row["image_id"])
        try:
            objects, relations = parse_items(_list(row["objects"]), _list(row["relationships"]))
            if self._sized:
                (width, height), problem = map(int, _list(row[SIZE])), ""
            else:
                (width, height), problem = look(row_picture(row["image"]), self._decode)
        except ROW_ERRORS as error:
            return RawExample.unreadable(image_id, error)
        columns = {c: row[c] for c in PROMPTS if row.get(c)}
        ref = f"row:{index}"
        return RawExample(image_id, ref, width, height, objects, relations, columns, problem)


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def open_table(path: str, split: str | None, key: str) -> tuple[Any, str]:
    """(table, identity) of a hub id, folder or file, pictures undecoded; `split` defaults to `train`.

    Raises:
        SggError: nothing readable is there; the message names the config key.

    """
    local = Path(path).expanduser()
    split = split or "train"
    if not local.exists():
        table, identity = _from_hub(path, split, key)
    else:
        table, identity = _from_disk(local, split, key)
    return _undecoded(table, path, key), identity


def _from_disk(local: Path, split: str, key: str) -> tuple[Any, str]:
    import datasets

    lines = _lines_file(local)
    if lines is not None:
        return LinesTable(read_lines(lines, key)), file_identity([lines])
    if (local / "dataset_dict.json").is_file():
        local = _split_folder(local, split, key)
    try:
        if (local / "state.json").is_file():
            identity = file_identity(sorted(local.glob("*.arrow")), tables=True)
            return datasets.load_from_disk(str(local)), identity
        if local.suffix == ".arrow":
            return datasets.Dataset.from_file(str(local)), file_identity([local], tables=True)
        files = _parquet_files(local, split, key)
        table = datasets.load_dataset("parquet", data_files=[str(f) for f in files])["train"]
        return table, file_identity(files, tables=True)
    except SggError:
        raise
    except Exception as error:  # pyarrow and datasets raise many types for a broken file
        raise SggError(f"{key}={local}: no readable data set ({error}).") from error


class LinesTable:
    """The published rows as JSON lines: gold handed on without its pictures."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self.column_names = sorted(set().union(*rows)) if rows else []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._rows[index]


def _lines_file(local: Path) -> Path | None:
    """`dataset.jsonl[.gz]` in a folder, or a file of such lines."""
    options = [local, local / "dataset.jsonl", local / "dataset.jsonl.gz"]
    ends = (".jsonl", ".jsonl.gz")
    return next((p for p in options if p.is_file() and p.name.endswith(ends)), None)


def _split_folder(local: Path, split: str, key: str) -> Path:
    splits = json.loads((local / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
    if split not in splits:
        raise _no_split(local, split, splits, key)
    return local / split


def _parquet_files(local: Path, split: str, key: str) -> list[Path]:
    """The files of a split: `train-00000-of-00020.parquet`, `train.parquet` or `train/0000.parquet`.

    Files that no split's name marks all belong to whichever split is asked for.
    """
    files = [local] if local.is_file() else sorted(local.rglob("*.parquet"))
    if not files or files[0].suffix != ".parquet":
        raise SggError(
            f"{key}={local}: no data set there. Give a hub id, a parquet or Arrow file, or a folder "
            "with parquet files or written by datasets' save_to_disk."
        )
    if local.is_file():
        return files
    split_of = {f: _split_of(f, local) for f in files}
    named = {s for s in split_of.values() if s}
    if not named:
        return files
    if split not in named:
        raise _no_split(local, split, sorted(named), key)
    return [f for f, s in split_of.items() if s == split]


_SHARD = re.compile(r"(?P<split>[\w.]+?)-\d{5}-of-\d{5}(-\w+)?")
_SPLITS = ("train", "validation", "val", "dev", "test")


def _split_of(file: Path, folder: Path) -> str:
    """The split that a file's name or its folder's names; empty if neither does."""
    shard = _SHARD.fullmatch(file.stem)
    if shard:
        return shard["split"]
    inner = file.relative_to(folder).parent.name
    return next((word for word in (file.stem, inner) if word in _SPLITS), "")


def _no_split(folder: Path, split: str, found: list[str], key: str) -> SggError:
    name = key.replace(".path", ".name")
    return SggError(
        f"{key}={folder}: no split '{split}'; it has {', '.join(found)}. Choose one by {name}."
    )


def _undecoded(table: Any, path: str, key: str) -> Any:
    import datasets

    if "image" not in table.column_names or isinstance(table, LinesTable):
        return table
    try:
        return table.cast_column("image", datasets.Image(decode=False))
    except Exception as error:  # pyarrow raises many types
        kind = table.features["image"]
        raise SggError(f"{key}={path}: column image holds no pictures, but {kind}.") from error


def _from_hub(path: str, split: str, key: str) -> tuple[Any, str]:
    import datasets

    if path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise SggError(f"{key}={path}: no such folder or file.")
    try:
        table = datasets.load_dataset(path, split=split)
    except Exception as error:  # offline, unknown id, wrong split: many types, one way out
        reason = str(error).splitlines()[0]
        raise SggError(
            f"{key}={path}: neither a folder here nor to be had from the hub ({reason}). "
            f"Download it (`hf download --repo-type dataset {path} --local-dir DIR`) and set "
            f"{key}=DIR, or check the id and data's split name '{split}'."
        ) from error
    urls = sorted(table.info.download_checksums or {})
    return table, f"{path}@{split}:{urls or table.info.dataset_size}"
