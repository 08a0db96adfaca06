"""Whether the train and the eval split share images: what is measured on those is memory.

Input: one prepared split. Output: a sentence with the counts, or none. Images are the same by the
bytes of their files or by their ids; scenes of shapes by seed and place. The other split is prepared for it
where that is quick; else only its ids are read, and where it is not on this machine nothing is said.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sgg.config.data import DataConfig
from sgg.data.prepare import is_prepared, open_reader, prepare
from sgg.data.prepared_split import Prepared
from sgg.data.sources.hub_rows import RowsReader
from sgg.data.sources.source import Split
from sgg.data.sources.table import SOURCES
from sgg.errors import SggError

log = logging.getLogger("sgg")

QUICK = 2000
"""Images of the other split up to which it is prepared, if it was not yet."""

Digests = dict[str, str]
"""Digests by image id; empty where an image is not known."""


def shared_images(data: DataConfig, split: str, prepared: Prepared, cache: Path) -> str:
    """A sentence about the images that are in both splits; empty if none is known to be."""
    other = "eval" if split == "train" else "train"
    if SOURCES[data.source].is_drawn:
        return _shared_scenes(data)
    if not is_here(data, other):
        return ""
    try:
        found = _digests(data, other, cache)
    except SggError as error:
        log.info(
            "Whether data.%s has images of data.%s is not known: %s",
            other,
            split,
            str(error).splitlines()[0],
        )
        return ""
    mine = dict(zip(prepared.rows["image_id"], prepared.rows["digest"], strict=True))
    train, evaluated = (mine, found) if split == "train" else (found, mine)
    return _sentence(train, evaluated)


def is_here(data: DataConfig, split: str) -> bool:
    """Whether a split can be read without asking the hub for it."""
    if SOURCES[data.source].table is None:
        return True
    config = Split(data, split).config
    return config.path is not None and (Path(data.root or "") / config.path).expanduser().exists()


def _shared_scenes(data: DataConfig) -> str:
    if data.train.seed != data.eval.seed:
        return ""
    train, evaluated = (range(s.offset, s.offset + (s.limit or 0)) for s in (data.train, data.eval))
    shared = len(range(max(train.start, evaluated.start), min(train.stop, evaluated.stop)))
    if not shared:
        return ""
    return (
        f"{shared:,} of {len(evaluated):,} eval scenes are train scenes: data.train.seed and "
        f"data.eval.seed are both {data.eval.seed}. What is measured on them is memory; set another seed."
    )


def _digests(data: DataConfig, split: str, cache: Path) -> Digests:
    """All images of a split.

    Raises:
        SggError: it cannot be read.

    """
    config = Split(data, split).config
    if not is_prepared(data, split, cache):
        reader = open_reader(data, split)
        stop = (
            len(reader) if config.limit is None else min(len(reader), config.offset + config.limit)
        )
        if stop - config.offset > QUICK:
            indices = range(config.offset, stop)
            if isinstance(reader, RowsReader):  # whose rows may hold images
                return dict.fromkeys(reader.ids()[config.offset : stop], "")
            return {reader.read(index).image_id: "" for index in indices}
    rows = prepare(data, split, cache, quiet=True).rows
    return dict(zip(rows["image_id"], rows["digest"], strict=True))


def _sentence(train: Digests, evaluated: Digests) -> str:
    digests = {digest for digest in train.values() if digest}
    same = {i for i, digest in evaluated.items() if digest in digests}
    named = {i for i in evaluated.keys() & train.keys() if i not in same}
    other = {i for i in named if evaluated[i] and train[i]}
    if not same and not named:
        return ""
    ways = [
        f"{len(same):,} by their content" * bool(same),
        f"{len(named - other):,} by their ids" * bool(named - other),
        f"{len(other):,} by their ids alone, their files differing (one photograph stored twice, or ids "
        "that count anew in each file)" * bool(other),
    ]
    return (
        f"{len(same | named):,} of {len(evaluated):,} eval images are train images: "
        f"{', '.join(filter(None, ways))}. What is measured on them is memory. Name other files by "
        "data.train.path and data.eval.path, or part one by data.train.limit and data.eval.offset."
    )
