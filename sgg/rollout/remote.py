"""Rollouts by servers: asked by the main rank for all, with one second chance for a server that died."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object

from sgg.errors import SggError
from sgg.inference.generate import (
    Batch,
    Completion,
    Key,
    Questions,
    Sampling,
    Shard,
    completion_of,
)
from sgg.inference.requests import completion_seed, prompt_ids, prompt_text, resized
from sgg.rollout.client import ServerFault, Servers
from sgg.rollout.generation import Rollouts
from sgg.rollout.weight_probe import Probe, ProbeResult

log = logging.getLogger("sgg")

_AT_ONCE = 64
"""Images of one call to the servers in an evaluation."""


class Remote(Rollouts):
    """Rollouts by one server or several."""

    def _init_vllm(self) -> None:
        self.vllm_client = Servers(self._settings, self.group_port)
        self._join()

    def push(self) -> None:
        """To every server.

        Raises:
            SggError: on all ranks; a server failed twice.

        """
        self._twice("pushing weights", self._push_to_all, lambda: None)

    def _push_to_all(self) -> None:
        """All ranks gather; the main one sends. Once for each server: weights are not held twice."""
        if self._weight_metadata is None:
            self._weight_metadata = [
                (name, str(p.dtype).removeprefix("torch."), list(p.shape))
                for name, p in self._iter_named_params()
            ]
        for client in self.vllm_client.clients:
            params = self._iter_named_params()
            try:
                if self.accelerator.is_main_process:
                    client.push(self._weight_metadata, params)
            finally:  # gathering is for all, also when a server is gone
                for _ in params:
                    pass

    def completions(
        self, prompts: list[list[int]], images: list[list[Any] | None], group: int, profiler: Any
    ) -> tuple[list[list[int]], list[list[list[float | None]]]]:
        """By the main rank for all; a group's image travels once, be the group spread over ranks or not."""
        first = self.accelerator.process_index * len(prompts)
        leads = [(first + i) % group == 0 for i in range(len(prompts))]
        needed = [image if lead else None for image, lead in zip(images, leads, strict=True)]
        all_prompts = gather_object(prompts)[::group]
        all_images = gather_object(needed)[::group]
        sampling = [self._sampling(group, seed) for seed in self.seeds(len(all_prompts))]
        completions: list[Any] = [None]

        def ask() -> None:
            if self.accelerator.is_main_process:
                with profiler:
                    completions[0] = self.vllm_client.completions(
                        all_prompts, all_images, self._place_features, sampling
                    )

        self._twice("generating", ask, self.sync_weights)
        broadcast_object_list(completions, from_process=0)
        mine = slice(first, first + len(prompts))
        return completions[0][0][mine], completions[0][1][mine]

    def complete(self, questions: Questions, sampling: Sampling) -> list[tuple[Key, Completion]]:
        """By the servers; the main rank asks for all, `_AT_ONCE` images in a call."""
        found: list[tuple[Key, Completion]] = []
        batches = questions.batches(_AT_ONCE)
        for _ in questions.places(_AT_ONCE, Shard()):
            batch = next(batches) if self.accelerator.is_main_process else None
            found += self._complete(batch, sampling)
        return found

    def _complete(self, batch: Batch | None, sampling: Sampling) -> list[tuple[Key, Completion]]:
        """Those of a batch, on the main rank; none on others."""
        processor, ends = self._settings.processor, self._settings.sampling["stop_token_ids"]
        keys: list[Key] = []
        prompts: list[list[int]] = []
        images: list[list[Any] | None] = []
        for request in batch.requests if batch is not None else ():
            image = resized(request.image, processor)
            ids = prompt_ids(prompt_text(request.chat, processor), request.image, processor)
            for index in range(sampling.completions):
                keys.append((request.image_id, index))
                prompts.append(ids)
                images.append([image])
        self.check_lengths(prompts, "generate.max_new_tokens", sampling.max_new_tokens)
        params = [self._evaluation_sampling(sampling, key) for key in keys]
        completions: list[list[int]] = []

        def ask() -> None:
            if batch is not None:
                completions[:], _ = self.vllm_client.completions(
                    prompts, images, self._place_features, params
                )

        self._twice("evaluating", ask, self.sync_weights)
        tokenizer = processor.tokenizer
        return [
            (key, completion_of(ids, ends, tokenizer))
            for key, ids in zip(keys, completions, strict=True)
        ]

    def _evaluation_sampling(self, sampling: Sampling, key: Key) -> dict[str, Any]:
        """As `VllmRequests` asks."""
        return {
            "n": 1,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_tokens": sampling.max_new_tokens,
            "generation_kwargs": {
                **self._settings.sampling,
                "seed": completion_seed(sampling.seed, key),
            },
        }

    def ask(self, probe: Probe) -> list[ProbeResult] | str:
        """By every server."""
        found: list[Any] = [None]

        def ask() -> None:
            if self.accelerator.is_main_process:
                found[0] = self.vllm_client.probe(
                    probe, self.resized([[probe.image]])[0], self._place_features
                )

        fault = self._on_main("asking the probe", ask)
        broadcast_object_list(found, from_process=0)
        return found[0] if fault is None else fault

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

    def _join(self) -> None:
        seconds = self._settings.startup_timeout_s + self._settings.wait_timeout_s

        def join() -> None:
            if self.accelerator.is_main_process:
                self.vllm_client.join(self.accelerator.device)

        fault = self._on_main("joining the servers", join, seconds)
        if fault is not None:
            raise self._lost(fault)

    def _twice(self, what: str, act: Callable[[], None], prepare: Callable[[], None]) -> None:
        """Have the servers do something; if that fails, join, `prepare`, and try again, once."""
        fault = self._on_main(what, act)
        if fault is not None:
            log.warning("%s: %s Waiting for it to come back, once.", what.capitalize(), fault)
            self._join()
            prepare()
            fault = self._on_main(what, act)
        if fault is not None:
            raise self._lost(fault)

    def _on_main(
        self, what: str, act: Callable[[], None], seconds: float | None = None
    ) -> str | None:
        """All ranks act; the message about the main one's fault, on all ranks."""
        fault: list[str | None] = [None]
        with self.limited(what, seconds):
            try:
                act()
            except ServerFault as error:
                fault[0] = str(error)
            broadcast_object_list(fault, from_process=0)
        return fault[0]

    def _lost(self, fault: str) -> SggError:
        return SggError(
            f"Rollout server: {fault} Look into {self._settings.logs}. Started again, the run resumes from "
            "its newest checkpoint."
        )
