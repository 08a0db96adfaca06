"""Whether a run can start from here, checked before a run folder is made and before torch is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from sgg.chat_api.mac import unset_key
from sgg.config.derived import (
    evaluates_while_training,
    read_split,
    signs_requests,
    takes_fixed_samples,
)
from sgg.config.hardware import SERVER_KEY_VARIABLE
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig
from sgg.data.prepare import open_reader
from sgg.errors import SggError
from sgg.models.lora import check_targets
from sgg.models.weights import locate, look_as_runs_do, matrices
from sgg.plan.batch import refuse_too_few
from sgg.plan.opening import known_images


class Preflight:
    """Looks for what runs start from; what several points of a sweep share is looked for once."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._images: dict[str, int | None] = {}
        """Usable images, where they are known, by what says which data."""

    def check(self, config: Config, model_is_made: bool = False) -> None:
        """Look for the run's weights, data and key.

        Args:
            model_is_made: an earlier step of the pipeline makes the weights.

        Raises:
            SggError: something is missing; the message names the key and what to do.

        """
        look_as_runs_do(config.hardware.environment)
        _check_key(config)
        model = config.model
        weights = f"{model.path} {model.revision} {model.family.name} {model.lora}"
        if not model_is_made and weights not in self._found:
            folder = locate(model.path, model.revision)
            if model.lora.enable and (names := matrices(folder)) and not _is_adapter(folder):
                check_targets(model, names)
            self._found.add(weights)
        split = read_split(config)
        data = f"{split} {config.data}"
        generates = takes_fixed_samples(config) or evaluates_while_training(config)
        for name in sorted({split, *(["eval"] if generates else [])}):
            looked_for = f"{name} {config.data}"
            if looked_for not in self._found:
                open_reader(config.data, name)
                self._found.add(looked_for)
        if isinstance(config.stage, GrpoConfig):  # before the steps that it would have to wait for
            if data not in self._images:
                self._images[data] = known_images(config, "train")
            refuse_too_few(config.stage.prompts_per_step, self._images[data])


def _check_key(config: Config) -> None:
    """Refuse signed requests without a key; the lines of a job's `setup` and `prefix` may set it there."""
    hardware = config.hardware
    if not signs_requests(config) or not isinstance(config.stage, EvalConfig):
        return
    known = os.environ.get(SERVER_KEY_VARIABLE) or hardware.environment.get(SERVER_KEY_VARIABLE)
    if not known and not hardware.slurm.setup and not hardware.slurm.prefix:
        raise SggError(unset_key(SERVER_KEY_VARIABLE))


def _is_adapter(folder: Path) -> bool:
    """Whether the matrices are an adapter's own: then the model below it is looked at once it is loaded."""
    return (folder / "adapter_config.json").is_file()
