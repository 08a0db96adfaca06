"""Models: loading, frozen parts, LoRA.

The family is read from the checkpoint's config, never from its name. Remote code is never run and
weights are read from safetensors only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from sgg.config.model import Attention, Init, ModelConfig
from sgg.errors import SggError
from sgg.models.families import FAMILIES, ModelFamily, family_named
from sgg.models.lora import check_targets, last_name
from sgg.models.unreadable import explained_as_damaged
from sgg.models.vision_attention import use_packed_attention
from sgg.models.weights import adapter_base


def family_of(folder: Path) -> ModelFamily:
    """The family of a checkpoint, by its config's `model_type`; an adapter's is its base's.

    Raises:
        SggError: it is of no family that is known here.

    """
    with explained_as_damaged(folder):
        config = AutoConfig.from_pretrained(full_weights(folder), trust_remote_code=False)
    return family_named(str(config.model_type), folder)


def image_token_id(folder: Path) -> int:
    """The token that stands for a patch of an image, as the checkpoint's model has it."""
    config = AutoConfig.from_pretrained(full_weights(folder), trust_remote_code=False)
    return int(config.image_token_id)


def head_rows(folder: Path) -> int:
    """Rows of the matrix from the language model to its tokens: logits of each position."""
    config = AutoConfig.from_pretrained(full_weights(folder), trust_remote_code=False)
    return int(config.get_text_config().vocab_size)


def check_family(model: ModelConfig, folder: Path) -> None:
    """Raise SggError if the checkpoint is of another family than `model.family`."""
    found = family_of(folder).name
    if found is not model.family:
        raise SggError(
            f"model.family={model.family.name}, but {folder} is a {found.name}: the boxes would be read in "
            f"the wrong frame. Set model.family={found.name} (model={found.name}_… sets it)."
        )


def load_model(model: ModelConfig, folder: Path, dtype: torch.dtype, seed: int) -> Any:
    """The model of a checkpoint folder as the config wants it: dtype, attention, frozen parts, LoRA.

    Raises:
        SggError: the checkpoint is of another family than `model.family`.

    """
    check_family(model, folder)
    with explained_as_damaged(folder):
        loaded = _load(model, folder, dtype, seed)
    if model.attention is Attention.sdpa:
        use_packed_attention(loaded.config.vision_config)
    for part, frozen in _parts(loaded, model):
        part.requires_grad_(not frozen)
    if model.lora.enable:
        loaded = add_lora(loaded, model, seed)
    return loaded


def _load(model: ModelConfig, folder: Path, dtype: torch.dtype, seed: int) -> Any:
    options = {"dtype": dtype, "attn_implementation": model.attention.name}
    if model.init is Init.random:
        config = AutoConfig.from_pretrained(full_weights(folder), trust_remote_code=False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return AutoModelForImageTextToText.from_config(config, **options)
    base = adapter_base(folder)
    if base is None:
        return AutoModelForImageTextToText.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, **options
        )
    from peft import PeftModel

    below = _load(model, base, dtype, seed)
    merged = PeftModel.from_pretrained(below, str(folder)).merge_and_unload()
    # an adapter put onto this one must name this one: peft asks the model, TRL its config
    merged.name_or_path = merged.config._name_or_path = str(folder)
    return merged


def full_weights(folder: Path) -> Path:
    """The folder of the full weights below all adapters."""
    base = adapter_base(folder)
    return folder if base is None else full_weights(base)


def declared_ends(folder: Path) -> int | list[int] | None:
    """What a folder of full weights says ends a completion, read as transformers reads it."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder).eos_token_id
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return GenerationConfig.from_model_config(config).eos_token_id


def _parts(loaded: Any, model: ModelConfig) -> list[tuple[torch.nn.Module, bool]]:
    """The tower, then its mergers (parts of it), then the language model, each with its switch."""
    family = FAMILIES[model.family]
    switches = [
        (family.tower, model.freeze_vision),
        *((name, model.freeze_merger) for name in family.mergers),
        (family.language, model.freeze_language),
        (family.head, model.freeze_language),
    ]
    return [(loaded.get_submodule(name), frozen) for name, frozen in switches]


def add_lora(loaded: Any, model: ModelConfig, seed: int) -> Any:
    """The model with fresh low-rank adapters on its language part; all else is frozen by peft.

    Raises:
        SggError: a target is no matrix of it.

    """
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    linear = (n for n, m in loaded.named_modules() if isinstance(m, torch.nn.Linear))
    check_targets(model, linear)
    lora, language = model.lora, last_name(FAMILIES[model.family].language)
    targets = "|".join(map(re.escape, lora.targets))
    torch.manual_seed(seed)
    return get_peft_model(
        loaded,
        PeftLoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=rf".*{language}\..*\.({targets})",
            task_type="CAUSAL_LM",
        ),
    )


def load_adapters(model: Any, folder: Path) -> None:
    """The weights of each adapter, from where peft saves them: `default` in the folder itself, others below.

    Raises:
        SggError: an adapter's file is missing, or holds other weights than the adapter has.

    """
    active = model.active_adapter
    for name in model.peft_config:
        place = folder if name == "default" else folder / name
        if not (place / "adapter_model.safetensors").is_file():
            raise SggError(f"{folder} holds no weights of the adapter {name!r}.")
        told = model.load_adapter(str(place), name, is_trainable=name == active, torch_device="cpu")
        if told.missing_keys or told.unexpected_keys:
            raise SggError(
                f"{place} holds an adapter of other layers than model.lora.targets makes: "
                f"{len(told.missing_keys)} tensors are missing, {len(told.unexpected_keys)} unknown."
            )
    model.set_adapter(active)
