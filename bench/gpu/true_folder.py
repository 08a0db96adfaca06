"""Checkpoint folders of published sizes, random weights: `python bench/gpu/true_folder.py OUT MODEL …`.

Shapes are those of the Instruct model that the option MODEL of `model=` takes, vocabulary, special tokens,
chat template and processor as `sgg.models.narrow` has them, so speed and memory are the published models';
only the weights are drawn. `narrow_FAMILY` is the family's narrow model, for a CPU.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from turn import add_arguments, turn

from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.narrow import narrow_folder, write_folder
from sgg.models.qwen_vocabulary import SPECIAL_TOKENS, build_tokenizer

NARROW = {f"narrow_{family.name}": family for family in Family}


@dataclass(frozen=True)
class Size:
    """What a published config.json says beyond what all models here share; heads are 128 wide in all."""

    family: Family
    text: dict[str, Any]
    vision: dict[str, Any]
    rope: dict[str, Any]
    tied: bool = True
    """Whether the embedding is the head, too."""


def text(hidden: int, mlp: int, layers: int, heads: int, kv: int, vocab: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocab,
    }


_QWEN2_5_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "patch_size": 14,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "tokens_per_second": 2,
}
_QWEN2_5_ROPE = {"rope_theta": 1e6, "mrope_section": [16, 24, 24]}
_QWEN3_VISION = {
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "patch_size": 16,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17],
}
_QWEN3_ROPE = {"rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
SIZES = {
    "qwen2_5_vl_3b": Size(
        Family.qwen2_5_vl, text(2048, 11008, 36, 16, 2, 151936), _QWEN2_5_VISION, _QWEN2_5_ROPE
    ),
    "qwen2_5_vl_7b": Size(
        Family.qwen2_5_vl,
        text(3584, 18944, 28, 28, 4, 152064),
        _QWEN2_5_VISION,
        _QWEN2_5_ROPE,
        tied=False,
    ),
    "qwen3_vl_4b": Size(
        Family.qwen3_vl,
        text(2560, 9728, 36, 32, 8, 151936) | {"head_dim": 128},
        _QWEN3_VISION,
        _QWEN3_ROPE,
    ),
}
"""From the published config.json of the Instruct models, by the options of `model=`."""


def config_of(size: Size, tokenizer: Any) -> Any:
    """The published config.json of a size."""
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    language = {
        **size.text,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", **size.rope},
        "tie_word_embeddings": size.tied,
        "initializer_range": 0.02,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        **size.vision,
        "num_heads": 16,
        "out_hidden_size": size.text["hidden_size"],
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    return AutoConfig.for_model(
        size.family.name,
        text_config=language,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=size.tied,
    )


def drawn(config: Any, device: str, seed: int) -> Any:
    """A model with random weights in bf16, on the CPU."""
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    return model.to("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="each size is a folder in it")
    parser.add_argument("sizes", nargs="+", choices=[*NARROW, *SIZES])
    parser.add_argument("--device", default="cpu", help="where the weights are drawn (cpu)")
    add_arguments(parser)
    chosen = parser.parse_args()
    for name in chosen.sizes:
        if name in NARROW:
            narrow_folder(FAMILIES[NARROW[name]], chosen.out / name)
        elif not (chosen.out / name).is_dir():
            _write(SIZES[name], chosen.out / name, chosen)


def _write(size: Size, folder: Path, chosen: argparse.Namespace) -> None:
    tokenizer = build_tokenizer(FAMILIES[size.family])
    with turn(chosen):
        model = drawn(config_of(size, tokenizer), chosen.device, seed=0)
        if chosen.device != "cpu":
            torch.cuda.empty_cache()
    write_folder(FAMILIES[size.family], model, tokenizer, folder)


if __name__ == "__main__":
    main()
