"""Random models of a published architecture at chosen sizes, as TRL loads them and as sgg does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sgg.config.model import Family, Init, ModelConfig
from sgg.models.load import load_model

PAD, IMAGE, BEFORE_IMAGE, AFTER_IMAGE = 0, 1, 2, 3
"""Ids of the tokens that are no text; text has ids from 10 on."""
TRL, OURS = "TRL", "ours"


@dataclass(frozen=True)
class Size:
    """Widths and depths of language model and vision tower."""

    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    tower_width: int
    tower_inner: int
    tower_layers: int
    tower_heads: int
    rows: int = 152_064
    """Of the embedding, which is the head, too."""


SIZES = {
    "small": Size(256, 1024, 6, 4, 1, 192, 512, 3, 3, rows=16_384),
    "middle": Size(512, 2048, 14, 8, 2, 384, 1024, 7, 6),
    "3b": Size(2048, 11_008, 36, 16, 2, 1280, 3420, 32, 16, rows=151_936),
}
"""`3b` is Qwen2.5-VL-3B; the others have its ratio of tower to language model."""


def write_config(family: Family, size: Size, folder: Path) -> None:
    """A folder with a model's config and without weights, which `model.init=random` draws."""
    half = size.width // size.heads // 2
    columns = half * 3 // 8
    rope = {"rope_type": "default", "rope_theta": 1e6}
    rope |= {"mrope_section": [half - 2 * columns, columns, columns]}
    if family is Family.qwen3_vl:
        rope["mrope_interleaved"] = True
    text = {
        "vocab_size": size.rows,
        "bos_token_id": PAD,
        "eos_token_id": PAD,
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.key_heads,
        "head_dim": 2 * half,
        "rope_parameters": rope,
        "tie_word_embeddings": True,
    }
    config = {
        "model_type": family.name,
        "text_config": text,
        "vision_config": _tower(family, size),
        "image_token_id": IMAGE,
        "vision_start_token_id": BEFORE_IMAGE,
        "vision_end_token_id": AFTER_IMAGE,
        "tie_word_embeddings": True,
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))


def _tower(family: Family, size: Size) -> dict[str, Any]:
    depth, width = size.tower_layers, size.tower_width
    shared = {"depth": depth, "num_heads": size.tower_heads}
    if family is Family.qwen2_vl:
        # its MLP has two matrices, the others' three; the ratio is a whole number
        ratio = round(1.5 * size.tower_inner / width)
        return shared | {"embed_dim": width, "hidden_size": size.width, "mlp_ratio": ratio}
    shared |= {"hidden_size": width, "intermediate_size": size.tower_inner}
    shared |= {"out_hidden_size": size.width}
    if family is Family.qwen3_vl:
        return shared | {"deepstack_visual_indexes": [depth // 3, 2 * depth // 3]}
    whole = list(range(depth - 1, 0, -8))[::-1]  # every eighth layer sees all, as published
    return shared | {"fullatt_block_indexes": whole}


def load(way: str, folder: Path, family: Family, device: str) -> Any:
    """The model of a folder that `write_config` wrote, with the head of one way; equal weights for both.

    Args:
        way: `TRL` or `OURS`.
        folder: of the config.
        family: of the config.
        device: where the weights are drawn: bf16 on a GPU, fp32 elsewhere.

    """
    from trl.trainer.utils import add_fused_lm_head

    from sgg.config.stage import FastPath
    from sgg.train.logprobs import ScoringHead
    from sgg.train.shared_prefix.sharing import SharedPrefix

    config = ModelConfig(path=str(folder), family=family, init=Init.random)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model = load_model(config, folder, dtype, seed=0).train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    outputs = ("log_probs", "entropy")
    if way == TRL:
        model.config.vision_config._attn_implementation = "sdpa"  # as transformers loads it
        add_fused_lm_head(model, outputs=outputs)
    else:
        head = ScoringHead(sharing=SharedPrefix(FastPath.require))
        head.add_to(model, outputs=outputs)
    return model
