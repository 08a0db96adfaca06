"""What made an evaluation: its config, and those of the trainings behind its model.

Input: the configs of a sweep or of several runs. Output: which of them are one configuration, and what two
configurations differ in. Seed, folders and tracker are left out, and so is the path of a model that one of
the runs has trained: it is a place, and what was trained there says more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sgg.config.differences import differences
from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.plan.unread import is_read
from sgg.runs.folder import run_of

_OF_THE_PLACE = ("seed", "choices", "paths", "dry_run", "tracker")
"""Keys by which runs of one configuration may differ."""


def trainings(config: Config, by_folder: Mapping[str | None, Config]) -> list[Config]:
    """The trainings behind the model of a run, the last one first, as far as they are known.

    Args:
        config: of the run.
        by_folder: configs of training runs by their run folder, as configs name it.

    """
    found: list[Config] = []
    while (before := by_folder.get(run_of(config.model.path))) is not None and before not in found:
        found.append(before)
        config = before
    return found


def identity(made: Sequence[Config]) -> str:
    """Equal for runs of one configuration.

    Args:
        made: config of the run, then those of the trainings behind its model.

    """
    values = [_values(config, i + 1 < len(made)) for i, config in enumerate(made)]
    return json.dumps(values, sort_keys=True, default=str)


def changes(theirs: Sequence[Config], ours: Sequence[Config]) -> dict[str, tuple[Any, Any]]:
    """Keys that two runs read and differ in: key -> (theirs, ours).

    A key of a training begins with its stage, such as `grpo: reward.similarity`. Trainings are compared if
    both models come through the same stages.

    Args:
        theirs: config of a run, then those of the trainings behind its model.
        ours: of another run, likewise.

    """
    stages = [[config.stage.name.name for config in made] for made in (theirs, ours)]
    count = len(ours) if stages[0] == stages[1] else 1
    found: dict[str, tuple[Any, Any]] = {}
    for i, both in enumerate(zip(theirs[:count], ours[:count], strict=True)):
        gaps = differences(*(_values(config, i + 1 < count) for config in both))
        start = f"{stages[1][i]}: " if i else ""
        for key, values in gaps.items():
            if any(is_read(key, config) for config in both):
                found[start + key] = values
    return found


def _values(config: Config, is_trained_here: bool) -> dict[str, Any]:
    values = {key: value for key, value in plain(config).items() if key not in _OF_THE_PLACE}
    if is_trained_here:
        del values["model"]["path"]
    return values
