"""Attention of the vision towers: segments of a layer together, not one call for each.

A tower packs the patches of all images of a batch into one sequence and attends within segments: images in
Qwen2-VL, windows of 8 × 8 patches in most layers of Qwen2.5-VL, smaller ones at an image's edges. Under
`sdpa` transformers calls attention once for each segment: a thousand small kernels for 640 × 640 pixels.
After `use_packed_attention` a GPU in half precision makes one call for each layer, by torch's kernel for
segments of any length; elsewhere, and in fp32, there is one batched call for each distinct length.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

# transformers hands the packed sequence over only to an implementation with “flash” in its name
PACKED = "flash_packed"


def use_packed_attention(vision_config: Any) -> None:
    """Let a tower that was loaded with `sdpa` attend by `packed_attention`.

    Args:
        vision_config: the tower's own, `model.config.vision_config`. It is changed after loading, since
            transformers imports the package flash-attn for a model that is loaded with a name like this.

    """
    AttentionInterface.register(PACKED, packed_attention)
    vision_config._attn_implementation = PACKED


def attend_alike(model: Any, other: Any) -> None:
    """Let the tower of another model of the family attend as this model's does."""
    name = model.config.vision_config._attn_implementation
    other.config.vision_config._attn_implementation = name


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **same_for_all: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within segments, as transformers' vision layers call it.

    Args:
        module: the layer; not used.
        query: (1, heads, tokens, width of a head); key and value, too.
        attention_mask: None; the segments are all there is.
        cu_seq_lens_q: (segments + 1,) int32, where each segment begins, and the number of tokens.
        max_length_q: tokens of the longest segment.
        same_for_all: what these towers never vary: no dropout, not causal, scaled by width ** -0.5.

    Returns:
        (1, tokens, heads, width of a head), and None for the weights.

    """
    q, k, v = (t.squeeze(0).transpose(0, 1) for t in (query, key, value))
    if has_varlen_kernel(q):
        # positional and without options: torch 2.10 to 2.13 differ in those; only 2.11 has run on a GPU
        out: Any = varlen_attn(q, k, v, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q)
    else:
        out = grouped_attention(q, k, v, cu_seq_lens_q.diff().tolist())
    return out.unsqueeze(0), None


def has_varlen_kernel(query: torch.Tensor) -> bool:
    """Whether torch's kernel for segments of any length takes it: in half precision, on Ampere or newer."""
    return (
        query.is_cuda
        and query.dtype in (torch.bfloat16, torch.float16)
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
    )


def grouped_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: list[int]
) -> torch.Tensor:
    """Attention within segments, one batched call for each distinct length.

    Args:
        query: (tokens, heads, width of a head); key and value, too.
        lengths: tokens of each segment, in order.

    Returns:
        (tokens, heads, width of a head).

    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(lengths):
        places[length].append(place)
    segments = [torch.split(t, lengths) for t in (query, key, value)]
    attended: dict[int, torch.Tensor] = {}
    for same in places.values():
        q, k, v = (torch.stack([parts[i] for i in same]).transpose(1, 2) for parts in segments)
        batch = scaled_dot_product_attention(q, k, v).transpose(1, 2)
        attended.update(zip(same, batch.unbind(), strict=True))
    return torch.cat([attended[place] for place in range(len(lengths))])
