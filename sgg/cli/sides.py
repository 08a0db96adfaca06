"""The two sides of a comparison: each is read by its own spec, both are judged by one protocol and one gold.

A run's predictions are written in the box frame of its own model, so its config says how to read them; a file
without a config beside it is read as the other side is. What judges must be the same for both: overrides on
the command line change it on both sides, and overrides about reading change only the side they can be about.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgg.cli.run_config import config_beside, config_for
from sgg.config.argv import key_of
from sgg.config.derived import gold_data, scored_split
from sgg.config.differences import differences
from sgg.config.frozen import FROZEN_NAME
from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.data.prepare import prepare
from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.models.spec import graph_spec
from sgg.text.codec import GraphSpec

_READING = ("model", "prompt", "stage.max_pixels")
"""What says how predictions were written; with `data.vocabulary`, which says what they are scored by, too."""


@dataclass(frozen=True)
class Side:
    """Predictions, and how they are read."""

    path: Path
    config: Config
    source: Path | None
    """The frozen config that says how; None for only the overrides and defaults."""

    @property
    def spec(self) -> GraphSpec:
        """How its predictions are written."""
        return graph_spec(self.config)

    @property
    def how(self) -> str:
        """What says how its predictions are read."""
        if self.source is not None:
            return f"as {self.source} says"
        model = self.config.model.path
        return f"with texts in the box frame of model.path={model}; no {FROZEN_NAME} lies beside it"


def one_side(
    path: Path, overrides: list[str], other: Path | None = None, trust: bool | None = None
) -> Side:
    """The predictions of a file or run folder, with the config of `other` if it has none of its own."""
    source = config_beside(path) or (None if other is None else config_beside(other))
    return Side(path, config_for(path, overrides, other, trust), source)


def rival_of(main: Side, path: Path, overrides: list[str]) -> Side:
    """What `against=path` names."""
    if config_beside(path) is None:
        return Side(path, main.config, main.source)
    return one_side(path, [override for override in overrides if not _about_reading(override)])


def _about_reading(override: str) -> bool:
    key = key_of(override)
    return any(key == name or key.startswith(f"{name}.") for name in _READING)


def refuse_two_judges(main: Side, rival: Side, gold: Prepared) -> None:
    """Raise SggError if the sides' configs name two protocols, or gold of two kinds.

    Args:
        gold: the main side's.

    """
    ours, theirs = _protocol_values(main.config), _protocol_values(rival.config)
    if ours != theirs:
        raise SggError(
            f"{main.path} and {rival.path} are of two protocols: {_said(ours, theirs, 'protocol.')}. "
            f"Scores under two protocols cannot be compared. Name one for both, such as "
            f"protocol={ours['id'].replace('-', '_')}."
        )
    ours, theirs = _gold_values(main.config), _gold_values(rival.config)
    if ours == theirs:
        return
    cache, split = Path(rival.config.paths.cache), scored_split(rival.config)
    try:
        why = _gold_difference(gold, prepare(gold_data(rival.config), split, cache, quiet=True))
    except SggError as error:
        why = f"the gold of {rival.path} cannot be read here ({error})"
    if why:
        raise SggError(
            f"{main.path} and {rival.path} have different gold: {why}. Their configs differ in "
            f"{_said(ours, theirs)}. Say for both what they are scored against, by the same overrides "
            "data=… data.eval.limit=…; images without a prediction count as the protocol says."
        )


def _protocol_values(config: Config) -> dict[str, Any]:
    """The protocol, its name first; its quirks are sentences about it."""
    values = plain(config.protocol)
    return {"id": values["id"], **{k: v for k, v in values.items() if k != "quirks"}}


def _gold_values(config: Config) -> dict[str, Any]:
    """What decides which images are asked for, and what their gold is."""
    split = scored_split(config)
    data = plain(gold_data(config))
    unread = ("workers", "eval" if split == "train" else "train")
    return {"data": {k: v for k, v in data.items() if k not in unread}, "stage": {"split": split}}


def _gold_difference(ours: Prepared, theirs: Prepared) -> str:
    """The first difference of two prepared splits; empty if there is none."""
    if ours.fingerprint == theirs.fingerprint:
        return ""
    mine, others = ours.stored_gold(), theirs.stored_gold()
    if mine.keys() != others.keys():
        shared = len(mine.keys() & others.keys())
        return f"{len(mine)} and {len(others)} images, of which {shared} are in both"
    differing = next((image_id for image_id in mine if mine[image_id] != others[image_id]), None)
    return "" if differing is None else f"image {differing} has other gold"


def _said(ours: Any, theirs: Any, prefix: str = "") -> str:
    """`key: ours and theirs` for each leaf that differs."""
    found = differences(ours, theirs).items()
    return ", ".join(f"{prefix}{key}: {mine} and {other}" for key, (mine, other) in found)
