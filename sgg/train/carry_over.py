"""Weights of a tiny Qwen2-VL in a tiny Qwen3-VL: what both architectures have, so that less is to be learnt.

Input: two tiny models of one width and depth. Output: the second, changed in place. Biases of queries, keys
and values are lost; DeepStack and the table of positions are new, and add nothing until they are trained.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch.nn.functional import interpolate

from sgg.models.families import ModelFamily

_RENAMED = (
    (r"\.mlp\.fc([12])\.", r".mlp.linear_fc\1."),
    (r"\.merger\.ln_q\.", ".merger.norm."),
    (r"\.merger\.mlp\.0\.", ".merger.linear_fc1."),
    (r"\.merger\.mlp\.2\.", ".merger.linear_fc2."),
)
_LENGTH = 1.9
"""Of queries and keys over the root of their width, in the base of Qwen2-VL; Qwen3-VL norms both to 1."""
_PATCHES = "model.visual.patch_embed.proj."


def carry_over(
    source: Any, source_family: ModelFamily, target: Any, target_family: ModelFamily
) -> None:
    """Put what fits of the one's weights into the other."""
    theirs = {_renamed(name): weight for name, weight in source.state_dict().items()}
    kernel = theirs.pop(f"{_PATCHES}weight")
    ours = target.state_dict()
    fitting = {n: w for n, w in theirs.items() if n in ours and ours[n].shape == w.shape}
    fitting |= _patches(kernel, source_family, target_family)
    target.load_state_dict(fitting, strict=False)
    tower = target.get_submodule(target_family.tower)
    with torch.no_grad():
        for layer in target.get_submodule(target_family.language).layers:
            layer.self_attn.q_norm.weight.fill_(_LENGTH)
            layer.self_attn.k_norm.weight.fill_(_LENGTH)
        tower.pos_embed.weight.zero_()
        for merger in tower.deepstack_merger_list:
            merger.linear_fc2.weight.zero_()


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMED:
        name = re.sub(theirs, ours, name)
    return name


def _patches(
    kernel: torch.Tensor, source: ModelFamily, target: ModelFamily
) -> dict[str, torch.Tensor]:
    """The projection of patches, stretched to the larger ones, for pixels that are scaled another way."""
    side = target.patch_px
    flat = kernel.flatten(1, 2)
    stretched = interpolate(flat, (side, side), mode="bilinear", antialias=True)
    stretched = stretched.view(*kernel.shape[:3], side, side) * (source.patch_px / side) ** 2
    scale = torch.tensor(target.image_std) / torch.tensor(source.image_std)
    shift = (torch.tensor(target.image_mean) - torch.tensor(source.image_mean)) / torch.tensor(
        source.image_std
    )
    bias = (stretched.sum((2, 3, 4)) * shift).sum(1)
    return {
        f"{_PATCHES}weight": stretched * scale[None, :, None, None, None],
        f"{_PATCHES}bias": bias,
    }
