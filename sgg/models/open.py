"""Opening the model of a run: from a config to its files, its processor, its dtype and its weights.

All that trains, generates or serves opens its model here, so that one config means the same pixels and the
same numbers everywhere. Weights are loaded when they are asked for, not before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from sgg.config.derived import pixel_budget, weights_precision
from sgg.config.hardware import Precision
from sgg.config.model import Init
from sgg.config.schema import Config
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.vllm_folder import write_for_vllm
from sgg.models.weights import locate


class Use(Enum):
    """What weights are for: it decides their dtype."""

    generate = "generate"
    """As configured, or as the hardware computes."""
    train = "train"
    """The same; fp32 unless configured where an optimiser changes these very weights, with no fp32 copy."""
    rollout = "rollout"
    """As the trainer computes, whatever the checkpoint is kept in: both must see one policy."""


def weights_dtype(config: Config, use: Use) -> torch.dtype:
    """The dtype of a run's weights as they are loaded."""
    computed = config.hardware.precision
    if use is not Use.rollout:
        computed = weights_precision(config, trains=use is Use.train)
    return torch.bfloat16 if computed is Precision.bf16 else torch.float32


@dataclass(frozen=True)
class RunModel:
    """A run's model before its weights are loaded."""

    config: Config
    folder: Path
    """Its files."""
    processor: Any
    dtype: torch.dtype

    def load(self, checkpoint: Path | None = None) -> Any:
        """The model on the CPU, with frozen parts and LoRA as configured.

        Args:
            checkpoint: whole weights that this run has saved, to go on from.

        Raises:
            SggError: the files are of another family than `model.family`.

        """
        model, seed = self.config.model, self.config.seed
        if checkpoint is None:
            return load_model(model, self.folder, self.dtype, seed)
        loaded = load_model(replace(model, init=Init.pretrained), checkpoint, self.dtype, seed)
        loaded.config._name_or_path = str(self.folder)  # where GRPO's reference model comes from
        return loaded

    def write_for_vllm(self, out: Path) -> None:
        """Make a folder that vLLM loads; see `vllm_folder`."""
        config = self.config
        write_for_vllm(config.model, self.folder, self.processor, self.dtype, config.seed, out)


def open_model(config: Config, use: Use, folder: Path | None = None) -> RunModel:
    """The model of a run, its weights not loaded yet.

    Args:
        config: the run's.
        use: what the weights are for.
        folder: its files, where they were located before.

    Raises:
        SggError: the files are missing, are of no known family, or have no chat template for images.

    """
    if folder is None:
        folder = locate(config.model.path, config.model.revision)
    processor = load_processor(folder, *pixel_budget(config))
    return RunModel(config, folder, processor, weights_dtype(config, use))
