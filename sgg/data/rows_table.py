"""Opens published rows wherever they lie: a hub id, `save_to_disk`, parquet or Arrow files, JSON lines.

Images stay undecoded. Shards of one split are read as one table: where they give a column different
types (arrow knows no type for a list that is empty in every row of a shard), the common type is taken and
said; where there is none, the error names column, types and files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgg.data.sources.base import file_identity, read_lines
from sgg.errors import SggError, behind


class Table(NamedTuple):
    """Rows by index, and what is known about where they came from."""

    rows: Any
    """Has a length, `column_names`, and a dict at each index."""
    identity: str
    """Digest of the files or of the hub revision."""
    folders: tuple[Path, ...] = ()
    """Where its files lie: image files that it names may lie beside them. None for the hub's."""
    remarks: tuple[str, ...] = ()
    """What was done so that shards fit together, in sentences."""


def open_table(path: str, split: str | None, key: str) -> Table:
    """The table of a hub id, folder or file, images undecoded; `split` defaults to `train`.

    Raises:
        SggError: nothing readable is there; the message names the config key.

    """
    local = Path(path).expanduser()
    split = split or "train"
    table = _from_disk(local, split, key) if local.exists() else _from_hub(path, split, key)
    return table._replace(rows=_undecoded(table.rows, path, key))


def _from_disk(local: Path, split: str, key: str) -> Table:
    import datasets

    lines = _lines_file(local)
    if lines is not None:
        return Table(LinesTable(read_lines(lines, key)), file_identity([lines]), (lines.parent,))
    folders = _dedupe([local if local.is_dir() else local.parent])
    if (local / "dataset_dict.json").is_file():
        local = _split_folder(local, split, key)
        folders = _dedupe([*folders, local])
    try:
        if (local / "state.json").is_file():
            identity = file_identity(sorted(local.glob("*.arrow")), tables=True)
            return Table(datasets.load_from_disk(str(local)), identity, folders)
        if local.suffix == ".arrow":
            identity = file_identity([local], tables=True)
            return Table(datasets.Dataset.from_file(str(local)), identity, folders)
        files = _parquet_files(local, split, key)
        schema, remarks = _common_schema(files, key)
        features = None if schema is None else datasets.Features.from_arrow_schema(schema)
        names = [str(f) for f in files]
        rows = datasets.load_dataset("parquet", data_files=names, features=features)["train"]
        folders = _dedupe([*folders, *(f.parent for f in files)])
        missing = _missing_shards(files, key)
        return Table(rows, file_identity(files, tables=True), folders, (*remarks, *missing))
    except SggError:
        raise
    except Exception as error:  # pyarrow and datasets raise many types for a broken file
        raise SggError(f"{key}={local}: no readable data set ({_causes(error)}).") from error


def _causes(error: BaseException) -> str:
    """The messages of an error and of what caused it, outermost first: the first alone may say nothing."""
    said = [" ".join(str(e).split()) or type(e).__name__ for e in (error, *behind(error))]
    return "; caused by: ".join(dict.fromkeys(said))


def _dedupe(folders: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(folders))


class LinesTable:
    """The published rows as JSON lines: gold handed on without its images, or beside them."""

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
    if not (local / split).is_dir():
        raise SggError(
            f"{key}={local}: dataset_dict.json lists the split '{split}', but its folder is missing. "
            "Copy the whole folder that save_to_disk wrote."
        )
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
    unnamed = [str(f.relative_to(local)) for f, s in split_of.items() if not s]
    if unnamed:
        raise SggError(
            f"{key}={local}: {', '.join(unnamed[:3])} may belong to any split, while other files' names "
            f"say {', '.join(sorted(named))}. Name the file or folder to read by {key}."
        )
    return [f for f, s in split_of.items() if s == split]


_SHARD = re.compile(r"(?P<split>[\w.]+?)-(?P<number>\d{5})-of-(?P<count>\d{5})(-\w+)?")
_SPLITS = ("train", "validation", "val", "dev", "test")


def _split_of(file: Path, folder: Path) -> str:
    """The split that a file's name or its folder's names; empty if neither does."""
    shard = _SHARD.fullmatch(file.stem)
    if shard:
        return shard["split"]
    inner = file.relative_to(folder).parent.name
    return next((word for word in (file.stem, inner) if word in _SPLITS), "")


def _missing_shards(files: Sequence[Path], key: str) -> Iterator[str]:
    """A sentence where the files' own names say that there are more of them."""
    shards = [m for f in files if (m := _SHARD.fullmatch(f.stem))]
    counts = {int(m["count"]) for m in shards}
    found = {int(m["number"]) for m in shards}
    if len(files) > 1 and len(shards) == len(files) and len(counts) == 1:
        (count,) = counts
        gone = sorted(set(range(count)) - found)
        if gone:
            listed = ", ".join(str(n) for n in gone[:5])
            yield (
                f"{key}: {len(gone)} of {count} shards are missing (number {listed}"
                f"{', …' if len(gone) > 5 else ''}); the rest is read."
            )


def _no_split(folder: Path, split: str, found: list[str], key: str) -> SggError:
    name = key.replace(".path", ".name")
    return SggError(
        f"{key}={folder}: no split '{split}'; it has {', '.join(found)}. Choose one by {name}."
    )


def _common_schema(files: Sequence[Path], key: str) -> tuple[Any, list[str]]:
    """The schema that all files can be read with, and what it changes; None where they agree.

    Raises:
        SggError: a column has types without a common one.

    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    # datasets' own note in the metadata states the types of one shard
    schemas = [parquet.read_schema(file).remove_metadata() for file in files]
    if all(schema.equals(schemas[0]) for schema in schemas):
        return None, []
    remarks, fields = [], []
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        holders = [
            (s.field(name), f) for s, f in zip(schemas, files, strict=True) if name in s.names
        ]
        try:
            common = pa.unify_schemas(
                [pa.schema([field]) for field, _ in holders], promote_options="permissive"
            ).field(name)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SggError(
                f"{key}: the shards do not fit together. Column {name} is {_types(holders)}. Write it "
                "alike in all of them, or name one file."
            ) from error
        fields.append(common)
        without = [f.name for s, f in zip(schemas, files, strict=True) if name not in s.names]
        if without:
            remarks.append(f"{key}: column {name} is missing in {', '.join(without[:3])}.")
        if any(field.type != common.type for field, _ in holders):
            remarks.append(
                f"{key}: column {name} is {_types(holders)}; it is read as {common.type}."
            )
    return pa.schema(fields), remarks


def _types(holders: Sequence[tuple[Any, Path]]) -> str:
    """Each type of a column with the first file that has it."""
    first: dict[str, str] = {}
    for field, file in holders:
        first.setdefault(str(field.type), file.name)
    return ", and ".join(f"{kind} in {file}" for kind, file in first.items())


def _undecoded(table: Any, path: str, key: str) -> Any:
    import datasets

    if "image" not in table.column_names or isinstance(table, LinesTable):
        return table
    try:
        return table.cast_column("image", datasets.Image(decode=False))
    except Exception as error:  # pyarrow raises many types
        kind = table.features["image"]
        raise SggError(f"{key}={path}: column image holds no images, but {kind}.") from error


def _from_hub(path: str, split: str, key: str) -> Table:
    import datasets

    if path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise SggError(f"{key}={path}: no such folder or file.")
    try:
        table = datasets.load_dataset(path, split=split)
    except Exception as error:  # offline, unknown id, wrong split: many types, one way out
        reason = str(error).splitlines()[0]
        raise SggError(
            f"{key}={path}: no folder here, and the hub does not give it ({reason}). "
            f"Download it (`hf download --repo-type dataset {path} --local-dir DIR`) and set "
            f"{key}=DIR, or check the id and data's split name '{split}'."
        ) from error
    urls = sorted(table.info.download_checksums or {})
    return Table(table, f"{path}@{split}:{urls or table.info.dataset_size}")
