"""Muon for matrices, AdamW for the rest, as one optimiser: what lets a tiny model learn in minutes.

Used for the tiny models only; real ones keep TRL's `optim` (AdamW). Refuses closures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch.optim import _muon


def orthogonal(
    grad: torch.Tensor, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float
) -> torch.Tensor:
    """A matrix of about the same singular vectors, its singular values near 1 (Jordan 2024).

    Newton-Schulz: X ← aX + (bA + cA²)X with A = XXᵀ, from X = grad / |grad|. As torch's, but in the
    gradient's own precision: torch 2.13 always takes bf16, whose products a CPU without bf16
    instructions computes seven times slower than fp32's.
    """
    a, b, c = ns_coefficients
    tall = grad.shape[0] > grad.shape[1]
    x = grad.T if tall else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


@contextmanager
def _own_precision(matrices: Iterable[torch.Tensor]) -> Iterator[None]:
    """On a CPU, have torch's Muon orthogonalise by `orthogonal`."""
    theirs = _muon._zeropower_via_newtonschulz
    if all(matrix.device.type == "cpu" for matrix in matrices):
        _muon._zeropower_via_newtonschulz = orthogonal
    try:
        yield
    finally:
        _muon._zeropower_via_newtonschulz = theirs


class MuonAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` (Jordan 2024) and `torch.optim.AdamW` behind one interface.

    The two share no parameter. `param_groups` are the inner ones, so schedulers reach both.
    """

    def __init__(
        self, named: Iterable[tuple[str, torch.nn.Parameter]], muon_lr: float, adamw_lr: float
    ) -> None:
        matrices: list[torch.nn.Parameter] = []
        rest: list[torch.nn.Parameter] = []
        for name, parameter in named:
            if parameter.requires_grad:
                is_matrix = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
                (matrices if is_matrix else rest).append(parameter)
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=muon_lr, weight_decay=0.0),
            torch.optim.AdamW(rest, lr=adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        super().__init__(chain(matrices, rest), defaults={"lr": muon_lr})
        self.param_groups = [g for part in self._parts for g in part.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of both parts."""
        assert closure is None, "MuonAdamW takes no closure"
        matrices = [p for group in self._parts[0].param_groups for p in group["params"]]
        with _own_precision(matrices):
            for part in self._parts:
                part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The two inner states, by part."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [g for part in self._parts for g in part.param_groups]
