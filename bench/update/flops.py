"""Floating-point operations of an update, from the shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from update.cases import Case
from update.models import TRL

from sgg.config.model import Family
from sgg.models.families import FAMILIES

PASSES = 4
"""A forward, one that is recomputed, and a backward of two."""


def flops(model: Any, case: Case, way: str, *, scores_all: bool) -> dict[str, int]:
    """Of forward and backward, by part.

    A matrix of n numbers takes 2n for each token, attention 4 × width for each pair of query and key that is
    seen, whatever a kernel computes besides. The backward takes twice the forward; layers and the head's
    tiles are recomputed, which takes the forward once more.

    Args:
        model: of either way.
        case: its numbers of tokens.
        way: `TRL` passes each padded row, ours prompt and image once, and no completion's last token.
        scores_all: whether TRL's head takes each token of each row, as it does without a GPU.

    """
    lengths, longest = case.lengths, case.prompt + max(case.lengths)
    scored = sum(lengths)
    if way == TRL:
        images, tokens = case.group, case.group * longest
        pairs = case.group * _triangle(longest)
        scored = case.group * (longest - 1) if scores_all else scored
    else:
        images, tokens = 1, case.prompt + scored - case.group
        pairs = _triangle(case.prompt)
        pairs += sum((length - 1) * case.prompt + _triangle(length - 1) for length in lengths)
    text = model.config.text_config
    head_width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    attention = 4 * pairs * text.num_attention_heads * head_width * text.num_hidden_layers
    family, vision = FAMILIES[Family[model.config.model_type]], model.config.vision_config
    language = 2 * tokens * _of_layers(model.get_submodule(family.language).layers)
    return {
        "language": language,
        "tower": images * _tower_matrices(model, case),
        "attention": PASSES * (attention + images * _tower_attention(vision, case)),
        "head": PASSES * 2 * scored * model.get_output_embeddings().weight.numel(),
    }


def _triangle(tokens: int) -> int:
    return tokens * (tokens + 1) // 2


def _numbers(module: torch.nn.Module) -> int:
    """Of the matrices and convolutions in a module."""
    kinds = (torch.nn.Linear, torch.nn.Conv3d)
    return sum(part.weight.numel() for part in module.modules() if isinstance(part, kinds))


def _of_layers(layers: torch.nn.ModuleList) -> int:
    """Numbers of the matrices times passes; no gradient needs a layer's result, so its last is not redone."""
    last = [[m for m in layer.modules() if isinstance(m, torch.nn.Linear)][-1] for layer in layers]
    return PASSES * _numbers(layers) - sum(matrix.weight.numel() for matrix in last)


def _tower_matrices(model: Any, case: Case) -> int:
    """Of one image: blocks are recomputed, mergers are not, and pixels need no gradient."""
    family = FAMILIES[Family[model.config.model_type]]
    tower = model.get_submodule(family.tower)
    merged = sum(_numbers(model.get_submodule(name)) for name in family.mergers)
    of_patch = _of_layers(tower.blocks) + 2 * _numbers(tower.patch_embed)
    patches = case.image * model.config.vision_config.spatial_merge_size**2
    return 2 * (patches * of_patch + case.image * 3 * merged)


def _tower_attention(vision: Any, case: Case) -> int:
    """Of one image's forward; in Qwen2.5-VL most layers see windows."""
    width = getattr(vision, "embed_dim", None) or vision.hidden_size
    whole = len(getattr(vision, "fullatt_block_indexes", range(vision.depth)))
    pairs = whole * (case.image * vision.spatial_merge_size**2) ** 2
    if whole < vision.depth:
        side = vision.window_size // vision.patch_size
        rows, columns = (_squares(n * vision.spatial_merge_size, side) for n in case.sides)
        pairs += (vision.depth - whole) * rows * columns
    return 4 * pairs * width


def _squares(patches: int, side: int) -> int:
    """Sum of the squares of the windows' sides along an image's side."""
    return patches // side * side**2 + (patches % side) ** 2
