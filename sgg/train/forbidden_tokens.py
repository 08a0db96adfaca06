"""Tokens that a policy never writes: those that stand for pictures.

A sampled image token makes training die of “image features and image tokens do not match”. So the policy
has a bias against them, and vLLM's sampler is forbidden them (`sgg.inference.requests.held`): what is
sampled and what is scored stay one distribution.
"""

from __future__ import annotations

from typing import Any

import torch

BIAS = -100.0
"""Added to the logits: a probability of e^-100, but finite, so that it has a share of 0 in the entropy."""


def vision_bias(processor: Any) -> dict[int, float]:
    """Token id → bias."""
    tokens = list(processor.family.vision_tokens)
    return dict.fromkeys(processor.tokenizer.convert_tokens_to_ids(tokens), BIAS)


def add_bias(model: Any, bias: dict[int, float]) -> None:
    """Give the model's head a bias that is neither trained nor saved nor pushed nor split over ranks."""
    head = model.get_output_embeddings()
    rows = getattr(head.weight, "ds_shape", head.weight.shape)[0]  # ZeRO-3 has split it already
    values = torch.zeros(rows)
    for token, value in bias.items():
        values[token] = value
    head.register_buffer("guard", values, persistent=False)
    kind = type(head)
    head.__class__ = type(f"Guarded{kind.__name__}", (kind,), {"bias": property(_whole_bias)})


def _whole_bias(head: Any) -> torch.Tensor:
    """As a parameter of the head's would be: TRL asks DeepSpeed's and FSDP's parameters for their whole."""
    values: Any = head.guard.to(head.weight.device, head.weight.dtype)
    values.full_tensor = lambda: values
    if hasattr(head.weight, "ds_status"):
        from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus

        values.ds_status = ZeroParamStatus.AVAILABLE
    return values
