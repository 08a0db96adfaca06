"""Muon for matrices, AdamW for the rest, as one optimiser: what lets a tiny model learn in minutes.

Used for the tiny models only; real ones keep TRL's `optim` (AdamW). Refuses closures.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch


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
