"""Tokens that a policy never writes: those that stand for pictures.

A sampled image token makes training die of “image features and image tokens do not match”. So the policy
has a bias against them, in the trainer's head and, with the same number, in vLLM's sampler: what is
sampled and what is scored stay one distribution.
"""

from __future__ import annotations

from typing import Any

import torch

from sgg.model import VISION_TOKENS

BIAS = -100.0
"""Added to the logits, as much as vLLM's `logit_bias` allows: a probability of e^-100."""


def vision_bias(tokenizer: Any) -> dict[int, float]:
    """Token id → bias."""
    return dict.fromkeys(tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)), BIAS)


def add_bias(model: Any, bias: dict[int, float]) -> None:
    """Give the model's head a bias that is neither trained nor saved nor pushed."""
    head = model.get_output_embeddings()
    values = torch.zeros(head.weight.shape[0], dtype=head.weight.dtype, device=head.weight.device)
    for token, value in bias.items():
        values[token] = value
    del head.bias
    head.register_buffer("bias", values, persistent=False)
