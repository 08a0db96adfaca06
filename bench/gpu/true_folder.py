"""Checkpoint folders of the published sizes, random weights: `python bench/gpu/true_folder.py OUT 3b 7b`.

Shapes are those of Qwen2.5-VL-3B and -7B-Instruct, vocabulary, special tokens, chat template and processor as
`sgg.models.narrow` has them, so speed and memory are the published models'; only the weights are drawn.
`narrow` is the narrow model, for a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from turn import add_arguments, turn

from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.narrow import narrow_folder, write_folder
from sgg.models.qwen_vocabulary import SPECIAL_TOKENS, build_tokenizer

FAMILY = FAMILIES[Family.qwen2_5_vl]
SIZES: dict[str, dict[str, Any]] = {
    "3b": {"hidden": 2048, "mlp": 11008, "layers": 36, "heads": 16, "kv": 2, "vocab": 151936},
    "7b": {"hidden": 3584, "mlp": 18944, "layers": 28, "heads": 28, "kv": 4, "vocab": 152064},
}
"""From the published config.json of the Instruct models; heads are 128 wide in all."""


def config_of(size: str, tokenizer: Any) -> Any:
    """The published config.json of a size."""
    shape = SIZES[size]
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    text = {
        "vocab_size": shape["vocab"],
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
        "tie_word_embeddings": size != "7b",
        "initializer_range": 0.02,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "num_heads": 16,
        "intermediate_size": 3420,
        "out_hidden_size": shape["hidden"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    return AutoConfig.for_model(
        "qwen2_5_vl",
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=size != "7b",
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
    parser.add_argument("sizes", nargs="+", choices=["narrow", *SIZES])
    parser.add_argument("--device", default="cpu", help="where the weights are drawn (cpu)")
    add_arguments(parser)
    chosen = parser.parse_args()
    if "narrow" in chosen.sizes:
        narrow_folder(FAMILY, chosen.out / "narrow")
    missing = [size for size in chosen.sizes if not (chosen.out / size).is_dir()]
    tokenizer = build_tokenizer(FAMILY) if missing else None
    for size in missing:
        with turn(chosen):
            model = drawn(config_of(size, tokenizer), chosen.device, seed=0)
            if chosen.device != "cpu":
                torch.cuda.empty_cache()
        write_folder(FAMILY, model, tokenizer, chosen.out / size)


if __name__ == "__main__":
    main()
