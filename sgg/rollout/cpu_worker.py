"""Imported by a CPU server's worker, a process of its own, before it makes its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import safe_open

from sgg.compat.vllm_cpu import keep_matrices_loadable

keep_matrices_loadable()


class TakesWeights:
    """Mixed into vLLM's worker, which calls it by name."""

    model_runner: Any

    def take_weights(self, file: str) -> None:
        """Load all of a safetensors file, named as the trainer names them."""
        with safe_open(Path(file), "pt") as tensors:
            names = list(tensors.keys())
            self.model_runner.model.load_weights((n, tensors.get_tensor(n)) for n in names)
