"""A LoRA policy's weights as vLLM takes them: whole matrices, merged in copies.

TRL 1.16 adds the adapter to the base with each push and takes it out again afterwards (trl#6688). Neither
is exact, so that the base drifts from the one that the adapter was trained for and is saved without. Here
the live weights are only read. One matrix is whole at a time, also where weights lie in pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear, LoraLayer
from torch.distributed.tensor import DTensor

Gather = Callable[[list[Any]], AbstractContextManager[None]]
"""Inside the block these parameters are whole on each rank: DeepSpeed's ZeRO-3."""


@dataclass(frozen=True)
class Update:
    """One adapter's share in a matrix: `scale` × `up` @ `down`."""

    up: torch.nn.Parameter
    """Output size × rank."""
    down: torch.nn.Parameter
    """Rank × input size."""
    scale: float


def merged_weights(
    model: PeftModel, gather: Gather, device: torch.device
) -> Iterator[tuple[str, torch.Tensor]]:
    """Name without peft's prefixes, and value, of each weight below the adapters; collective.

    The sum is computed in fp32 and rounded once, to the dtype of the base. Of the adapters only the active
    ones are added: GRPO's reference is none of them.

    Raises:
        NotImplementedError: an adapter is more than a product of two matrices.

    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, LoraLayer)}
    for name, base in model.named_parameters():
        if model.prefix in name:
            continue
        owner, _, field = name.rpartition(".base_layer.")
        updates = _updates(layers[owner]) if field == "weight" and owner in layers else []
        with gather([base, *(p for update in updates for p in (update.up, update.down))]):
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            yield plain, _sum(base, updates, device)


def _updates(layer: LoraLayer) -> list[Update]:
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    # every kind of peft's that needs more than the sum has a class or a variant of its own
    if type(layer) is not Linear or any(
        name in layer.lora_variant or layer.lora_bias[name] for name in active
    ):
        raise NotImplementedError(f"{layer} is no plain LoRA: it cannot be pushed to vLLM.")
    return [
        Update(layer.lora_B[name].weight, layer.lora_A[name].weight, layer.scaling[name])
        for name in active
    ]


@torch.no_grad()
def _sum(base: torch.nn.Parameter, updates: list[Update], device: torch.device) -> torch.Tensor:
    whole = _whole(base, device)
    if not updates:
        return whole
    merged = whole.to(torch.float32, copy=True)
    for update in updates:
        up, down = _whole(update.up, device), _whole(update.down, device)
        merged.addmm_(up.float(), down.float(), alpha=update.scale)
    return merged.to(whole.dtype)


def _whole(param: torch.nn.Parameter, device: torch.device) -> torch.Tensor:
    """Without its gradient; FSDP's pieces are brought together."""
    data = param.detach()
    if not isinstance(data, DTensor):
        return data
    placed: Any = data.to(device)
    return placed.full_tensor()
