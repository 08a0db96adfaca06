"""Qwen-VL models and processors: loading, the pixel budget, frozen parts, LoRA, tiny variants.

The family is read from the checkpoint's config, never from its name. Remote code is never run and
weights are read from safetensors only. The processor is image-only and resizes with PIL everywhere,
so pixels are the same on every machine, with or without torchvision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    Qwen2VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from sgg.config.hardware import Precision
from sgg.config.model import Dtype, Init, LoraConfig, ModelConfig
from sgg.errors import SggError
from sgg.models.lora import check_targets
from sgg.models.weights import adapter_base

IMAGE_TOKEN = "<|image_pad|>"
VISION_TOKENS = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    IMAGE_TOKEN,
    "<|video_pad|>",
)
"""What stands for pictures in a prompt and is never an answer's: the model would look for their pixels."""
_UPSTREAM_PROCESSOR = {"qwen2_vl": "Qwen2VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor"}


class ImageOnlyProcessor(Qwen2VLProcessor):  # type: ignore[misc]
    """Qwen2-VL's and Qwen2.5-VL's processor without the video part, which needs torchvision.

    Token for token the same as upstream for images. What it saves names the upstream class, so
    that checkpoints load in `AutoProcessor` and vLLM.
    """

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None
    ) -> None:
        self.video_processor = None
        self.family = "qwen2_vl"
        super(Qwen2VLProcessor, self).__init__(
            image_processor, tokenizer, chat_template=chat_template
        )
        self.image_token, self.video_token = IMAGE_TOKEN, "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)

    def to_dict(self) -> dict[str, Any]:
        """The config file's content, under the upstream class's name."""
        saved = super().to_dict()
        saved["processor_class"] = _UPSTREAM_PROCESSOR[self.family]
        image = saved["image_processor"]
        image["image_processor_type"] = "Qwen2VLImageProcessor"
        video = {k: image[k] for k in ("size", "patch_size", "temporal_patch_size", "merge_size")}
        saved["video_processor"] = {"video_processor_type": "Qwen2VLVideoProcessor", **video}
        return saved


def build_processor(tokenizer: Any, family: str, min_pixels: int, max_pixels: int) -> Any:
    """An image-only processor around a tokenizer, images resized into the pixel budget."""
    image_processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": min_pixels, "longest_edge": max_pixels}
    )
    processor = ImageOnlyProcessor(
        image_processor, tokenizer, chat_template=tokenizer.chat_template
    )
    processor.family = family
    return processor


def load_processor(folder: Path, min_pixels: int, max_pixels: int) -> Any:
    """The image-only processor of a checkpoint folder, within the pixel budget.

    Raises:
        SggError: the checkpoint's chat template is missing or made for text alone.

    """
    family = family_of(folder)
    folder = _with_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.padding_side = "left"
    legacy = folder / "chat_template.json"  # where older processors kept it
    if legacy.is_file():
        tokenizer.chat_template = json.loads(legacy.read_text(encoding="utf-8"))["chat_template"]
    if IMAGE_TOKEN not in (tokenizer.chat_template or ""):
        raise SggError(
            f"{folder}: the chat template has no place for an image ({IMAGE_TOKEN}). "
            "Take the original checkpoint's chat_template.jinja."
        )
    return build_processor(tokenizer, family, min_pixels, max_pixels)


def _with_tokenizer(folder: Path) -> Path:
    """The folder, or the first one below an adapter that has a tokenizer: PEFT saves adapters without one."""
    files = ("tokenizer_config.json", "tokenizer.json")
    while not any((folder / name).is_file() for name in files):
        base = adapter_base(folder)
        if base is None:
            break
        folder = base
    return folder


def token_count(tokenizer: Any) -> Callable[[str], int]:
    """What counts the tokens of a text."""
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def family_of(folder: Path) -> str:
    """The `model_type` in the checkpoint's config; an adapter's is its base's."""
    config = AutoConfig.from_pretrained(full_weights(folder), trust_remote_code=False)
    return str(config.model_type)


def check_family(model: ModelConfig, folder: Path) -> None:
    """Raise SggError if the checkpoint is of another family than `model.family`."""
    found = family_of(folder)
    if found != model.family.name:
        raise SggError(
            f"model.family={model.family.name}, but {folder} is a {found}: the boxes would be read in "
            f"the wrong frame. Set model.family={found} (model={found}_… sets it)."
        )


def load_model(model: ModelConfig, folder: Path, dtype: torch.dtype, seed: int) -> Any:
    """The model of a checkpoint folder as the config wants it: dtype, attention, frozen parts, LoRA.

    Raises:
        SggError: the checkpoint is of another family than `model.family`.

    """
    check_family(model, folder)
    loaded = _load(model, folder, dtype, seed)
    for part, frozen in _parts(loaded, model):
        part.requires_grad_(not frozen)
    if model.lora.enable:
        loaded = add_lora(loaded, model.lora, seed)
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
    """What a folder of full weights says ends an answer, read as transformers reads it."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder).eos_token_id
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return GenerationConfig.from_model_config(config).eos_token_id


def _parts(loaded: Any, model: ModelConfig) -> list[tuple[torch.nn.Module, bool]]:
    """The tower, then its merger (a part of it), then the language model, each with its switch."""
    visual = loaded.model.visual
    language = [loaded.model.language_model, loaded.lm_head]
    return [
        (visual, model.freeze_vision),
        (visual.merger, model.freeze_merger),
        *((part, model.freeze_language) for part in language),
    ]


def add_lora(loaded: Any, lora: LoraConfig, seed: int) -> Any:
    """The model with fresh low-rank adapters on its language part; all else is frozen by peft.

    Raises:
        SggError: a target is no matrix of it.

    """
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    linear = (n for n, m in loaded.named_modules() if isinstance(m, torch.nn.Linear))
    check_targets(lora, linear)
    targets = "|".join(map(re.escape, lora.targets))
    torch.manual_seed(seed)
    return get_peft_model(
        loaded,
        PeftLoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=rf".*language_model\..*\.({targets})",
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


def torch_dtype(dtype: Dtype, precision: Precision, updated: bool = False) -> torch.dtype:
    """The dtype of the weights: as configured, or as the hardware computes.

    Args:
        updated: whether an optimiser will change these very weights, with no fp32 copy beside them.

    """
    if dtype is Dtype.auto:
        computes = Dtype.float32 if precision is Precision.fp32 else Dtype.bfloat16
        dtype = Dtype.float32 if updated else computes
    return torch.float32 if dtype is Dtype.float32 else torch.bfloat16
