"""A vLLM engine inside each training rank: TRL's, with what TRL leaves out."""

from __future__ import annotations

from functools import partial
from typing import Any

from trl.generation import vllm_generation
from vllm import LLM, SamplingParams

from sgg.compat.trl import collapsed, expands_twice, keeps_image_features, replaced
from sgg.compat.vllm_cpu import keep_matrices_loadable
from sgg.inference.generate import Completion, Key, Questions, Sampling, Shard
from sgg.inference.vllm.engine import VllmRequests
from sgg.inference.vllm.limits import ColocatedLimits
from sgg.inference.vllm.setup import engine_arguments, own_threads, register_model
from sgg.rollout.generation import Rollouts
from sgg.rollout.settings import RolloutSettings
from sgg.rollout.weight_probe import Probe, ProbeResult


class Engine(LLM):  # type: ignore[misc]
    """Made by TRL in the place of `vllm.LLM`; each prompt's completion has a seed of its own."""

    def __init__(self, settings: RolloutSettings, **theirs: Any) -> None:
        self.seeds: list[int] = []
        ours = engine_arguments(settings.dtype, settings.gpu, settings.ranks)
        if theirs["tensor_parallel_size"] > 1:
            ours["distributed_executor_backend"] = theirs["distributed_executor_backend"]
        longest = max(theirs["max_num_batched_tokens"], theirs["max_model_len"] or 0)
        ours |= {"max_num_batched_tokens": longest, "use_tqdm_on_load": False}
        super().__init__(**{**theirs, **ours, "model": str(settings.folder)})

    def generate(self, prompts: Any, sampling_params: Any = None, **more: Any) -> Any:
        """As vLLM's."""
        if self.seeds:
            each = [sampling_params.clone() for _ in prompts]
            for params, seed in zip(each, self.seeds, strict=True):
                params.seed = seed
            sampling_params = each
        return super().generate(prompts, sampling_params=sampling_params, **more)


class Colocated(Rollouts):
    """Rollouts by this rank's own engine."""

    def _init_vllm(self) -> None:
        register_model(self._settings.folder)
        if not self._settings.gpu:
            keep_matrices_loadable()
        with replaced(vllm_generation, "LLM", partial(Engine, self._settings)), own_threads():
            super()._init_vllm()

    def push(self) -> None:
        """By TRL's way of loading."""
        with self.limited("pushing weights"):
            super(Rollouts, self).sync_weights()
            if keeps_image_features():
                self.llm.llm_engine.reset_encoder_cache()

    def completions(
        self, prompts: list[list[int]], images: list[list[Any] | None], group: int, profiler: Any
    ) -> tuple[list[list[int]], list[list[list[float | None]]]]:
        """By TRL's way of asking."""
        self.llm.seeds = self._row_seeds(len(prompts), group)
        ids = [self.for_engine(p) for p in prompts]
        with self.limited("generating"):
            done = super(Rollouts, self).generate(ids, images, group, profiler)
        return done[1], done[2]

    def complete(self, questions: Questions, sampling: Sampling) -> list[tuple[Key, Completion]]:
        """By the engines of all ranks, as `stage=eval` with `generate=vllm` asks its own."""
        scheduler = self.llm.llm_engine.vllm_config.scheduler_config
        settings, at_once = self._settings, scheduler.max_num_seqs
        limits = ColocatedLimits(
            at_once,
            settings.max_length,
            self.gpu_memory_utilization,
            settings.gpu,
            settings.ranks,
        )
        requests = VllmRequests(
            self.llm,
            settings.processor,
            sampling,
            limits,
            settings.sampling["stop_token_ids"],
            (settings.sampling.get("structured_outputs") or {}).get("grammar"),
        )
        beside = self.tensor_parallel_size  # ranks that share a copy of the model ask it the same
        group, place = divmod(self.accelerator.process_index, beside)
        shard = Shard(group, self.accelerator.num_processes // beside)
        if self.enable_sleep_mode:
            self.llm.wake_up(tags=["kv_cache"])
        rounds = -(-len(questions.wanted()) // at_once)
        with self.limited("evaluating", 2 * rounds * settings.wait_timeout_s):
            found = list(requests.completions(questions.batches(1, shard)))
        if self.enable_sleep_mode:
            self.llm.sleep(level=2)
            self._llm_weights_sleeping = True
        return found if place == 0 else []

    def ask(self, probe: Probe) -> list[ProbeResult]:
        """By this rank's engine."""
        if self.enable_sleep_mode:
            self.llm.wake_up(tags=["kv_cache"])
        self.llm.seeds = []
        params = SamplingParams(max_tokens=probe.LENGTH, logprobs=0, **probe.sampling)
        image = {"image": self.resized([[probe.image]])[0]}
        prompt = {"prompt_token_ids": self.for_engine(probe.ids), "multi_modal_data": image}
        (output,) = self.llm.generate([prompt], params, use_tqdm=False)
        completion = output.outputs[0]
        tokens = list(completion.token_ids)
        scores = (
            step[token].logprob for token, step in zip(tokens, completion.logprobs, strict=True)
        )
        return [ProbeResult(tokens, list(scores))]

    def for_engine(self, prompt: list[int]) -> list[int]:
        """A prompt with its image tokens as vLLM wants them."""
        if not expands_twice():
            return prompt
        return collapsed(prompt, self.processing_class.image_token_id)

    def _row_seeds(self, rows: int, group: int) -> list[int]:
        """Seeds for the rows of this rank's engine: those that a server would give them."""
        beside = self.tensor_parallel_size  # ranks that share a copy of the model, and their rows
        first = self.accelerator.process_index // beside * beside * rows
        seeds = self.seeds(-(-rows * self.accelerator.num_processes // group))
        places = (divmod(first + i, group) for i in range(beside * rows))
        return [seeds[prompt] + index for prompt, index in places]
