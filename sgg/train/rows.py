"""Prepared rows -> what TRL's trainers eat: chat messages, the image, and target or gold.

Rows are made when they are asked for, so nothing is copied or rendered ahead. A row's content depends
on the row, the seed and the epoch only, never on a random state: a resumed run sees the same.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sgg.data.example import Example
from sgg.data.images import ImageStore
from sgg.data.prepared_split import Prepared, example
from sgg.errors import SggError
from sgg.scene.graph import SceneGraph
from sgg.text.codec import render
from sgg.text.prompt import Prompter

RECENT_IMAGES = 64
"""Decoded images that a loader process of GRPO keeps: some 150 MB of VG."""


class Epoch:
    """The current epoch, shared with loader processes that were forked before it began."""

    def __init__(self) -> None:
        self._value = multiprocessing.Value("l", 0)

    def set(self, epoch: int) -> None:
        """Called when an epoch begins, before its first row is asked for."""
        self._value.value = epoch

    def get(self) -> int:
        """The epoch that rows are being made for."""
        return int(self._value.value)


@dataclass
class SftRows:
    """prompt, completion, image."""

    store: ImageStore
    prompter: Prompter
    shuffle_objects: bool = False
    seed: int = 0
    epoch: Epoch = field(default_factory=Epoch)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """One TRL row in prompt-completion form."""
        item = example(row, self.store)
        said = self.texts(item.image_id, item.width, item.height, item.graph, item.columns)
        return {**said, "image": item.image}

    def of_gold(self, gold: Mapping[str, Any]) -> dict[str, Any]:
        """The row without its image, from what `Prepared.gold` gives."""
        names = ("image_id", "width", "height", "graph", "columns")
        return self.texts(*(gold[name] for name in names))

    def texts(
        self,
        image_id: str,
        width: int,
        height: int,
        graph: SceneGraph,
        columns: Mapping[str, str],
    ) -> dict[str, Any]:
        """The row without its image, whose size is in pixels."""
        if self.shuffle_objects:
            graph = shuffled(graph, self.seed, self.epoch.get(), image_id)
        target = render(graph, self.prompter.spec, width, height)
        return {
            "prompt": self.prompter.messages(width, height, columns),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": target}]}],
        }


@dataclass
class GrpoRows:
    """prompt, image, and the gold that rewards compare with.

    TRL asks for a row once per completion of its group and again in each accumulation step: the latest
    images are kept, so that each is decoded once.
    """

    store: ImageStore
    prompter: Prompter
    _recent: dict[str, Example] = field(default_factory=dict)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """One TRL row with reward columns."""
        item = self._recent.pop(row["image_id"], None) or example(row, self.store)
        self._recent[item.image_id] = item  # a dict keeps its order: the oldest stands first
        if len(self._recent) > RECENT_IMAGES:
            del self._recent[next(iter(self._recent))]
        return {
            "prompt": self.prompter.messages(item.width, item.height, item.columns),
            "image": item.image,
            "gold": item.graph,
            "width": item.width,
            "height": item.height,
            "image_id": item.image_id,
        }


def as_trl_dataset(prepared: Prepared, make_row: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The prepared table as a `datasets.Dataset` that makes its rows on access.

    Asked for a row, it raises `SggError` or, where the fault is ours, `RuntimeError`: none of the types by
    which TRL refuses its arguments.
    """

    def transform(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        names = list(batch)
        rows = [
            _made(make_row, dict(zip(names, values, strict=True)))
            for values in zip(*batch.values(), strict=True)
        ]
        return {name: [row[name] for row in rows] for name in rows[0]}

    return prepared.rows.with_transform(transform)


def _made(make_row: Callable[[dict[str, Any]], dict[str, Any]], row: dict[str, Any]) -> Any:
    try:
        return make_row(row)
    except SggError:
        raise
    except Exception as error:
        raise RuntimeError(f"data.train: the row of image {row['image_id']} fails") from error


@contextmanager
def words_of_loaders() -> Iterator[None]:
    """What a row's maker says in a loader process, without the traceback that torch puts around it."""
    try:
        yield
    except SggError as error:
        around, _, said = str(error).rpartition(f"{SggError.__module__}.{SggError.__name__}: ")
        if not around.startswith("Caught "):
            raise
        raise SggError(said.strip()) from error


def shuffled(graph: SceneGraph, seed: int, epoch: int, image_id: str) -> SceneGraph:
    """The graph with its objects in an order that (seed, epoch, image) decides."""
    words = np.frombuffer(image_id.encode().ljust(4 * (len(image_id) // 4 + 1), b"\0"), np.uint8)
    rng = np.random.default_rng([seed, epoch, *words.tolist()])
    return graph.reorder(rng.permutation(len(graph.nodes)).tolist())
