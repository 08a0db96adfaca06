"""A vLLM engine inside a training rank: TRL's, with what TRL leaves out."""

from __future__ import annotations

from typing import Any

from vllm import LLM

from sgg.rollout.settings import Settings
from sgg.vllm_setup import engine_arguments


class Engine(LLM):  # type: ignore[misc]
    """Made by TRL in the place of `vllm.LLM`; each prompt's answer has a seed of its own."""

    def __init__(self, settings: Settings, **theirs: Any) -> None:
        self.seeds: list[int] = []
        ours = engine_arguments(settings.dtype, settings.gpu, settings.ranks)
        if theirs["tensor_parallel_size"] > 1:
            ours["distributed_executor_backend"] = theirs["distributed_executor_backend"]
        theirs["max_num_batched_tokens"] = max(
            theirs["max_num_batched_tokens"], theirs["max_model_len"] or 0
        )
        super().__init__(
            **{**theirs, **ours, "model": str(settings.folder), "use_tqdm_on_load": False}
        )

    def generate(self, prompts: Any, sampling_params: Any = None, **more: Any) -> Any:
        """As vLLM's."""
        if self.seeds:
            each = [sampling_params.clone() for _ in prompts]
            for params, seed in zip(each, self.seeds, strict=True):
                params.seed = seed
            sampling_params = each
        return super().generate(prompts, sampling_params=sampling_params, **more)
