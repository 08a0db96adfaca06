"""TRL's rollouts by vLLM, right: the trainer's weights, the trainer's pixels, and no wait without an end.

Comes in: prompts as token ids and pictures, of which a group's rows follow each other. Goes out: completions
with the log-probabilities they were sampled with. What is pushed, gathered and sampled is TRL's; here stand
the cures (`cures.py`), seeds that hang on the step alone, so that a resumed run draws the same, the check
that vLLM really has the weights (`probe.py`), and one second chance for a server that died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list, gather_object
from trl.generation import vllm_generation
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

from sgg.asking import resized
from sgg.errors import SggError
from sgg.rollout.client import ServerFault, Servers
from sgg.rollout.cpu import keep_matrices_loadable
from sgg.rollout.cures import collapsed, expands_twice, keeps_image_features
from sgg.rollout.probe import Probe
from sgg.rollout.settings import Settings
from sgg.rollout.watchdog import limited
from sgg.vllm_setup import engine_here, own_threads, register_model

log = logging.getLogger("sgg")


class Rollouts(VLLMGeneration):  # type: ignore[misc]
    """In the place of TRL's class; `step` is set by whoever owns the trainer."""

    def __init__(self, settings: Settings, **theirs: Any) -> None:
        self.step: Callable[[], int] = lambda: 0
        self._settings = settings
        self._drawn = (-1, 0)
        self._probe: Probe | None = None
        self._weight_metadata: list[tuple[str, str, list[int]]] | None = None
        theirs["generation_kwargs"] = settings.sampling | (theirs["generation_kwargs"] or {})
        super().__init__(**theirs)

    def _init_vllm(self) -> None:
        if self.mode == "colocate":
            engine_here(self._settings.gpu)
            from sgg.rollout.colocated import Engine

            register_model(self._settings.folder)
            if not self._settings.gpu:
                keep_matrices_loadable()
            with _replaced(vllm_generation, "LLM", partial(Engine, self._settings)), own_threads():
                super()._init_vllm()
            return
        if self.accelerator.is_main_process:
            self.vllm_client = Servers(self._settings, self.group_port)
        self._all_or_none(self._join)

    def _join(self) -> None:
        limit = self._settings.start_limit_s + self._settings.wait_limit_s
        with limited("Joining the rollout servers", limit, self._settings.logs):
            self.vllm_client.join(self.accelerator.device)

    def sync_weights(self) -> None:
        """Push the trainer's weights; returns once vLLM has been seen to answer by them.

        Raises:
            SggError: on all ranks; a server died twice, or does not take the weights.

        """
        with self._limited("Pushing weights to vLLM"):
            self._push()
            fault = self._disagreement()
            if fault is not None:
                log.warning("After the push of step %d: %s Pushing once more.", self.step(), fault)
                self._push()
                fault = self._disagreement()
        if fault is not None:
            raise SggError(f"Pushed twice, vLLM does not have the trainer's weights: {fault}")

    def _push(self) -> None:
        if self.mode == "server":
            fault = self._try(self._push_to_servers, collective=True)
            if fault is not None:
                self._rejoin(fault)
                fault = self._try(self._push_to_servers, collective=True)
            if fault is not None:
                raise self._lost(fault)
            return
        super().sync_weights()
        if keeps_image_features():
            self.llm.llm_engine.reset_encoder_cache()

    def _push_to_servers(self) -> None:
        """All ranks gather; the main one sends. Once for each server: weights are not held twice."""
        if self._weight_metadata is None:
            self._weight_metadata = [
                (name, str(p.dtype).removeprefix("torch."), list(p.shape))
                for name, p in self._iter_named_params()
            ]
        for i in range(len(self._settings.servers)):
            params = self._iter_named_params()
            try:
                if self.accelerator.is_main_process:
                    self.vllm_client.clients[i].push(self._weight_metadata, params)
            finally:
                for (
                    _
                ) in params:  # the others take part, and so does a main rank whose server is gone
                    pass

    def generate(
        self,
        prompts: list[list[int]],
        images: list[list[Any] | None] | None,
        num_generations: int,
        profiler: Any = None,
    ) -> tuple[Any, ...]:
        """See TRL's; pictures go to vLLM as transformers' processor would resize them.

        Raises:
            SggError: on all ranks; the servers failed twice.

        """
        pictures = self._resized(images if images is not None else [None] * len(prompts))
        with self._limited("Generating by vLLM"):
            if self.mode == "server":
                return self._from_servers(
                    prompts, pictures, num_generations, profiler or nullcontext()
                )
            ids = [self._for_engine(p) for p in prompts]
            self.llm.seeds = self._row_seeds(len(prompts), num_generations)
            with_pictures = None if images is None else pictures
            done = super().generate(ids, with_pictures, num_generations, profiler)
            return prompts, *done[1:]

    def _for_engine(self, prompt: list[int]) -> list[int]:
        if not expands_twice():
            return prompt
        return collapsed(prompt, self.processing_class.image_token_id)

    def _from_servers(
        self,
        prompts: list[list[int]],
        images: list[list[Any] | None],
        num_generations: int,
        profiler: Any,
    ) -> tuple[Any, ...]:
        first = self.accelerator.process_index * len(prompts)
        # a group's picture travels once, be the group spread over ranks or not
        needed = [
            image if (first + i) % num_generations == 0 else None for i, image in enumerate(images)
        ]
        all_prompts = gather_object(prompts)[::num_generations]
        all_images = gather_object(needed)[::num_generations]
        seeds = self._seeds(len(all_prompts))
        sampling = [self._sampling(num_generations, seed) for seed in seeds]
        answers: list[Any] = [None]

        def ask() -> None:
            with profiler:
                answers[0] = self.vllm_client.answers(
                    all_prompts, all_images, self._place_features, sampling
                )

        fault = self._try(ask)
        if fault is not None:
            self._rejoin(fault)
            self.sync_weights()
            fault = self._try(ask)
        if fault is not None:
            raise self._lost(fault)
        broadcast_object_list(answers, from_process=0)
        mine = slice(first, first + len(prompts))
        return prompts, answers[0][0][mine], answers[0][1][mine], None

    def _sampling(self, count: int, seed: int) -> dict[str, Any]:
        return {
            "n": count,
            "repetition_penalty": self.repetition_penalty,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p or 0.0,
            "max_tokens": self.max_completion_length,
            "logprobs": self.logprobs,
            "structured_outputs_regex": self.structured_outputs_regex,
            "generation_kwargs": {**self.generation_kwargs, "seed": seed},
        }

    def _row_seeds(self, rows: int, num_generations: int) -> list[int]:
        """Seeds for the rows of this rank's engine: those of a server, which counts up in a group."""
        beside = self.tensor_parallel_size  # ranks that share a copy of the model, and their rows
        first = self.accelerator.process_index // beside * beside * rows
        seeds = self._seeds(-(-rows * self.accelerator.num_processes // num_generations))
        places = (divmod(first + i, num_generations) for i in range(beside * rows))
        return [seeds[prompt] + answer for prompt, answer in places]

    def _seeds(self, count: int) -> list[int]:
        """A seed for each prompt, from the run's seed, the step, and how often this step has drawn."""
        step = self.step()
        again = self._drawn[1] + 1 if self._drawn[0] == step else 0
        self._drawn = (step, again)
        rng = np.random.default_rng([self._settings.seed, step, again])
        return [int(s) for s in rng.integers(0, 1 << 48, count)]

    def _resized(self, images: list[list[Any] | None]) -> list[list[Any] | None]:
        """Resized; rows of a group share one picture, and go on sharing it."""
        known: dict[int, Any] = {}
        for row in images:
            for image in row or []:
                if id(image) not in known:
                    known[id(image)] = resized(image, self._settings.processor)
        return [None if row is None else [known[id(image)] for image in row] for row in images]

    def _disagreement(self) -> str | None:
        """What the probe finds; the same on all ranks."""
        if self._probe is None:
            self._probe = Probe(self._settings, self.processing_class)
        found: list[Any] = [None]

        def ask() -> None:
            assert self._probe is not None
            found[0] = self._ask(self._probe)

        fault = self._try(ask)
        if fault is not None:
            return fault
        broadcast_object_list(found, from_process=0)
        return self._probe.disagreement(self.model, self.accelerator, *found[0])

    def _ask(self, probe: Probe) -> tuple[list[int], list[float]]:
        """The probe's tokens and their log-probabilities by vLLM."""
        picture = resized(probe.picture, self._settings.processor)
        if self.mode == "server":
            per_server = []
            for client in self.vllm_client.clients:
                with client.told():
                    features = client.image_features([[picture]])[0]
                    answer = client.generate(
                        [probe.ids],
                        features=[self._place_features(features, probe.ids)],
                        max_tokens=probe.LENGTH,
                        generation_kwargs=self._probing(),
                    )
                    per_server.append((answer["completion_ids"][0], answer["logprobs"][0]))
            ids, logprobs = per_server[0]
            for client, other in zip(self.vllm_client.clients, per_server, strict=True):
                if other[0] != ids:
                    raise ServerFault(f"{client.base_url} answers otherwise than the first server.")
            return ids, [p[0] for p in logprobs]
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=probe.LENGTH, logprobs=0, **self._probing())
        self.llm.seeds = []
        prompt = {
            "prompt_token_ids": self._for_engine(probe.ids),
            "multi_modal_data": {"image": picture},
        }
        (output,) = self.llm.generate([prompt], params, use_tqdm=False)
        answer = output.outputs[0]
        tokens = list(answer.token_ids)
        return tokens, [
            step[token].logprob for token, step in zip(tokens, answer.logprobs, strict=True)
        ]

    def _probing(self) -> dict[str, Any]:
        """At temperature 1, and of what shapes the distribution only what is in the trainer's head, too."""
        bias = self._settings.sampling.get("logit_bias", {})
        return {"seed": 0, "ignore_eos": True, "logit_bias": bias}

    def _try(self, act: Callable[[], None], collective: bool = False) -> str | None:
        """Act on the main rank, or on all; the main rank's fault in words, on all ranks."""
        fault: list[str | None] = [None]
        if self.accelerator.is_main_process or collective or self.mode == "colocate":
            try:
                act()
            except ServerFault as error:
                fault[0] = str(error)
        if self.mode == "server":
            broadcast_object_list(fault, from_process=0)
        return fault[0]

    def _all_or_none(self, act: Callable[[], None]) -> None:
        fault = self._try(act)
        if fault is not None:
            raise self._lost(fault)

    def _rejoin(self, fault: str) -> None:
        log.warning("%s Waiting for it to come back, once.", fault)
        self._all_or_none(self._join)

    def _lost(self, fault: str) -> SggError:
        return SggError(
            f"Rollout server: {fault} Look into {self._settings.logs}. The run goes on from its newest "
            "checkpoint when it is started again."
        )

    @contextmanager
    def _limited(self, what: str) -> Iterator[None]:
        """Twice the limit of one request, and a restart: what is in words comes first."""
        settings = self._settings
        seconds = 2 * settings.wait_limit_s
        if self.mode == "server":
            seconds += settings.start_limit_s
        with limited(what, seconds, settings.logs):
            yield


@contextmanager
def cured(settings: Settings | None) -> Iterator[None]:
    """TRL's GRPOTrainer, made inside the block, generates by `Rollouts`; with None by what it has."""
    if settings is None:
        yield
        return
    with _replaced(grpo_trainer, "VLLMGeneration", partial(Rollouts, settings)):
        yield


@contextmanager
def _replaced(module: Any, name: str, ours: Any) -> Iterator[None]:
    theirs = getattr(module, name)
    setattr(module, name, ours)
    try:
        yield
    finally:
        setattr(module, name, theirs)
