"""What an engine of vLLM may use, and which keys of the config help where that is too little."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sgg.errors import SggError


@dataclass(frozen=True)
class EngineLimits:
    """Of an engine that has its GPU to itself, as `stage=eval` starts it."""

    in_flight: int
    """Completions generated concurrently."""
    max_length: int
    """`hardware.rollout.max_length`: longest prompt and completion together, tokens."""
    gpu_memory_utilization: float
    """Part of the GPU's memory."""
    gpu: bool
    ranks: int = 1
    """Processes of the run, each with an engine of its own."""

    def too_small(self, error: Exception) -> SggError:
        """What a user is told when the memory did not suffice."""
        share = self._share("generate.gpu_memory_utilization")
        return SggError(
            f"vLLM has too little memory with {share}, hardware.rollout.max_length={self.max_length}, "
            f"generate.batch_size={self.in_flight}: {_reason(error)} Lower the latter two, or give it more "
            "room."
        )

    def _share(self, key: str) -> str:
        if self.gpu:
            return f"{key}={self.gpu_memory_utilization}"
        return f"VLLM_CPU_KVCACHE_SPACE={os.environ['VLLM_CPU_KVCACHE_SPACE']} (environment, GiB)"


@dataclass(frozen=True)
class ColocatedLimits(EngineLimits):
    """Of an engine beside a trainer, whose memory more room for vLLM would take away."""

    def too_small(self, error: Exception) -> SggError:
        """What a user is told when the memory did not suffice for an evaluation."""
        return SggError(
            "The memory is full in an evaluation by the vLLM beside the trainer, with "
            f"{self._share('hardware.rollout.gpu_memory_utilization')}: {_reason(error)} Lower that, "
            "stage.max_pixels or stage.micro_batch; or take hardware.rollout.mode=server, or "
            "stage.evaluate.engine=hf with a small generate.batch_size."
        )


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
