"""The first forward of `generate`, in which equal prompts with equal images are computed once.

TRL passes each prompt once for every completion of its group. The distinct rows are passed, and their logits
and their keys and values in the cache copied to all rows; from the second token on rows differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from sgg.train.shared_prefix.growing import GrowingLayer
from sgg.train.shared_prefix.images import (
    NotPackedError,
    first_alike,
    images_of_rows,
    pixels_of_images,
    taken_images,
)

_ROWS = {"input_ids", "attention_mask", "mm_token_type_ids", "position_ids"}
"""Inputs of the form (…, B, T)."""
_IMAGES = {"pixel_values", "image_grid_thw"}
_SAME = {"past_key_values", "use_cache", "return_dict", "logits_to_keep"}


@dataclass(frozen=True)
class Prefill:
    """What the model is given in place of the batch."""

    inputs: dict[str, Any]
    """Of the model with its head: D distinct rows of B."""
    rows: torch.Tensor
    """(B,) the distinct row of each row."""

    def spread(self, output: Any) -> None:
        """Copy the model's logits, and what is in the cache, to all rows."""
        output.logits = output.logits[self.rows]
        cache = output.past_key_values
        cache.batch_select_indices(self.rows)
        cache.layers = [GrowingLayer(layer) for layer in cache.layers]


def is_prefill(batch: dict[str, Any]) -> bool:
    """Whether a batch begins a generation of several rows."""
    cache, ids = batch.get("past_key_values"), batch.get("input_ids")
    if not isinstance(cache, DynamicCache) or ids is None or len(ids) < 2:
        return False
    return ids.shape[1] > 1 and cache.get_seq_length() == 0


def prefill(model: Any, batch: dict[str, Any]) -> Prefill | None:
    """The distinct rows of a batch that `is_prefill`; None where all are distinct.

    Args:
        model: below the head.
        batch: `input_ids` and `attention_mask` (B, T), `position_ids` (3 or 4, B, T), an empty cache, images.

    Raises:
        NotPackedError: the batch has something that is not known here.

    """
    unknown = sorted(n for n in batch.keys() - _ROWS - _IMAGES - _SAME if batch[n] is not None)
    if unknown:
        raise NotPackedError(f"generate's first pass has {', '.join(unknown)}")
    if any(type(layer) is not DynamicLayer for layer in batch["past_key_values"].layers):
        raise NotPackedError("the cache has layers of another kind")
    if batch.get("position_ids") is None:  # the model would keep those of the distinct rows alone
        raise NotPackedError("generate's first pass has no positions")
    tokens = batch["input_ids"].tolist()
    images, pixels = images_of_rows(model, tokens, batch), pixels_of_images(batch)
    keys = [tuple(row) for row in tokens]
    if batch.get("attention_mask") is not None:
        masks = batch["attention_mask"].tolist()
        keys = [(*key, *mask) for key, mask in zip(keys, masks, strict=True)]
    firsts = first_alike(keys, images, pixels)
    kept = sorted(set(firsts))
    if len(kept) == len(keys):
        return None
    inputs, device = dict(batch), batch["input_ids"].device
    taken = torch.tensor(kept, device=device)
    for name in _ROWS:
        if inputs.get(name) is not None:
            inputs[name] = inputs[name].index_select(-2, taken)
    inputs |= taken_images(batch, pixels, [image for row in kept for image in images[row]])
    places = {row: place for place, row in enumerate(kept)}
    return Prefill(inputs, torch.tensor([places[first] for first in firsts], device=device))
