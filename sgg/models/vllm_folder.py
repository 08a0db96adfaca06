"""A model's folder as vLLM takes it: full weights, and a processor that keeps this run's pixel budget.

vLLM reads the processor's settings from the model's folder, where a checkpoint has its maker's. So the
weights are linked into a folder of the run's own, beside the processor as sgg has it. An adapter, which vLLM
would need the base for, is merged, and random weights are made.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from sgg.config.model import Init, ModelConfig
from sgg.models.load import check_family, load_model
from sgg.models.weights import adapter_base

_LINKED = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json")


def write_for_vllm(
    model: ModelConfig, folder: Path, processor: Any, dtype: torch.dtype, seed: int, out: Path
) -> None:
    """Make `out` from a checkpoint's folder; one that was there is made again.

    Raises:
        SggError: the checkpoint is of another family than `model.family`.

    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if model.init is Init.random or adapter_base(folder) is not None:
        whole = replace(
            model, lora=replace(model.lora, enable=False)
        )  # no adapter beside the weights
        load_model(whole, folder, dtype, seed).save_pretrained(out)
    else:
        check_family(model, folder)
        for pattern in _LINKED:
            for file in folder.glob(pattern):
                (out / file.name).symlink_to(file.resolve())
    processor.save_pretrained(out)


def longest_context(folder: Path, wanted: int) -> int:
    """Tokens of a prompt and its completion together: as many as wanted, or as the model was made for."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return min(wanted, int(config.get_text_config().max_position_embeddings))
