"""The published row format: image_id, image, prompt_open, prompt_close, objects, relationships.

The last two are JSON strings, boxes xyxy in pixels. Read from a hub id, a folder written by
`save_to_disk`, or parquet / Arrow files. The picture stays in the source and is fetched by row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sgg.data.example import RawExample
from sgg.data.jsonl import parse_items
from sgg.data.reader import file_identity
from sgg.errors import SggError
from sgg.graph import Triplet

REQUIRED = ("image_id", "image", "objects", "relationships")
PROMPTS = ("prompt_open", "prompt_close")


class RowsReader:
    """One split of a data set in the published format."""

    zero_shot: frozenset[Triplet] = frozenset()

    def __init__(self, path: str, split: str | None, key: str) -> None:
        self._table, self._identity = open_table(path, split, key)
        missing = [c for c in REQUIRED if c not in self._table.column_names]
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
            width, height = row["image"].size
            objects, relations = parse_items(
                json.loads(row["objects"]), json.loads(row["relationships"])
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return RawExample.unreadable(image_id, error)
        columns = {c: row[c] for c in PROMPTS if row.get(c)}
        return RawExample(image_id, f"row:{index}", width, height, objects, relations, columns)


def open_table(path: str, split: str | None, key: str) -> tuple[Any, str]:
    """(table, identity) of a hub id, folder or file; `split` defaults to `train`.

    Raises:
        SggError: nothing readable is there; the message names the config key.

    """
    import datasets

    local = Path(path).expanduser()
    split = split or "train"
    if not local.exists():
        return _from_hub(path, split, key)
    files = [local] if local.is_file() else sorted(local.rglob("*.parquet"))
    if (local / "state.json").is_file() or (local / "dataset_dict.json").is_file():
        folder = local if (local / "state.json").is_file() else local / split
        return datasets.load_from_disk(str(folder)), file_identity(sorted(folder.glob("*.arrow")))
    if local.suffix == ".arrow":
        return datasets.Dataset.from_file(str(local)), file_identity(files)
    of_split = [f for f in files if f.name.startswith(f"{split}-")] or files
    if not of_split or of_split[0].suffix != ".parquet":
        raise SggError(
            f"{key}={path}: no data set there. Give a hub id, a parquet or Arrow file, or a folder "
            "with parquet files or written by datasets' save_to_disk."
        )
    try:
        table = datasets.load_dataset("parquet", data_files=[str(f) for f in of_split])["train"]
    except Exception as error:  # pyarrow and datasets raise many types for a broken file
        raise SggError(f"{key}={path}: no readable parquet ({error}).") from error
    if "image" in table.column_names and not isinstance(table.features["image"], datasets.Image):
        table = table.cast_column("image", datasets.Image())
    return table, file_identity(of_split)


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
