"""What rollouts get beyond TRL's own arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class RolloutSettings:
    """One run's."""

    folder: Path
    """The start weights as vLLM takes them, for a colocated engine."""
    processor: Any
    dtype: torch.dtype
    gpu: bool
    ranks: int
    seed: int
    servers: tuple[str, ...] = ()
    """`http://host:port` of each rollout server."""
    keys: tuple[str, ...] = ()
    """What each of them asks of those who talk to it."""
    max_length: int = 4096
    """Longest prompt and completion together, tokens."""
    exact: bool = True
    """Whether both sides compute in plain fp32: their log-probabilities then differ only by rounding."""
    startup_timeout_s: int = 1200
    wait_timeout_s: int = 600
    sampling: dict[str, Any] = field(default_factory=dict)
    """Arguments of vLLM's SamplingParams that hold for every completion: ends, and what is never sampled."""
    logs: str = "this run's log"
    """Where to look when a server fails."""

    @property
    def tolerance(self) -> float:
        """How far vLLM's log-probabilities may lie from the trainer's with the same weights, nats."""
        return 1e-3 if self.exact else 0.5
