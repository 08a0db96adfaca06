"""Completions by vLLM, in this process: many at once, each written as soon as it is there.

Input: the folder that `vllm_folder` wrote, and batches of one image each. Output: their completions. What is
asked of vLLM is what transformers would do: the same pixels (images are resized here, as
`sgg.models.processor` does, so that vLLM's own resizing has nothing left to do), the same ends of a
completion, the same tokens never sampled, of the checkpoint's own generation settings none. A completion's
seed depends on (seed, image, index) only. With a grammar completions are held to it, and carry how much
probability that took away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from sgg.errors import SggError
from sgg.inference.generate import Batch, Completion, Key, Request, Sampling, completion_of, end_ids
from sgg.inference.requests import (
    completion_seed,
    prompt_ids,
    prompt_text,
    resized,
    stop_and_forbidden,
)
from sgg.inference.vllm.limits import EngineLimits
from sgg.inference.vllm.masked_mass import RemovedMass
from sgg.inference.vllm.setup import engine_arguments, engine_here, own_threads, register_model
from sgg.models.load import declared_ends
from sgg.models.vllm_folder import longest_context


class VllmRequests:
    """An engine of vLLM with requests put in as completions come out."""

    batch_size = 1

    def __init__(
        self,
        llm: Any,
        processor: Any,
        sampling: Sampling,
        limits: EngineLimits,
        ends: list[int],
        grammar: str | None = None,
        longest: int | None = None,
        removed: RemovedMass | None = None,
    ) -> None:
        """Know whom to ask, and how.

        Args:
            llm: vLLM's `LLM`.
            processor: the model's.
            sampling: how completions are drawn.
            limits: what the engine may use.
            ends: tokens that end a completion.
            grammar: what completions are held to, in xgrammar's EBNF.
            longest: tokens of a prompt and its completion, where the model was made for fewer than `limits`.
            removed: takes down what the grammar takes away, where that is wanted.

        """
        self.llm, self._processor, self._sampling, self._limits = llm, processor, sampling, limits
        self._ends, self._grammar, self._removed = ends, grammar, removed
        self._longest = limits.max_length if longest is None else longest

    def completions(self, batches: Iterator[Batch]) -> Iterator[tuple[Key, Completion]]:
        """See `sgg.inference.generate.Engine`; in the order in which they end."""
        waiting = ((request, key) for b in batches for request in b.requests for key in _keys(b))
        flying: dict[str, Key] = {}
        while True:
            for request, key in islice(waiting, self._limits.in_flight - len(flying)):
                flying[self._put_in(request, key)] = key
            if not flying:
                return
            for output in self._step():
                ids = list(output.outputs[0].token_ids)
                completion = completion_of(ids, self._ends, self._processor.tokenizer)
                if self._removed is not None:
                    mass = self._removed.take(output.request_id)
                    completion = replace(completion, masked_mass=mass)
                yield flying.pop(output.request_id), completion

    def _step(self) -> list[Any]:
        """What ended in one step of the engine."""
        try:
            return [o for o in self.llm.llm_engine.step() if o.finished]
        except torch.OutOfMemoryError as error:
            raise self._limits.too_small(error) from error

    def _put_in(self, request: Request, key: Key) -> str:
        """Hand a request over; returns the id that its completion will carry."""
        text = prompt_text(request.chat, self._processor)
        self._check_length(request, text)
        image = resized(request.image, self._processor)
        # vLLM puts the image's tokens in: the text has the one that stands for them
        prompt = {"prompt": text, "multi_modal_data": {"image": image}}
        (name,) = self.llm.enqueue([prompt], self._parameters(key), use_tqdm=False)
        return str(name).rsplit("-", 1)[0]  # vLLM adds a random end, which completions do not carry

    def _check_length(self, request: Request, text: str) -> None:
        """Raise for a prompt that leaves no room: vLLM would refuse it, or cut the completion short."""
        prompt = len(prompt_ids(text, request.image, self._processor))
        wanted = self._sampling.max_new_tokens
        if prompt + wanted > self._longest:
            raise SggError(
                f"{request.image_id}: a prompt of {prompt} tokens and generate.max_new_tokens={wanted} are "
                f"more than {self._longest} (hardware.rollout.max_length={self._limits.max_length}, and what "
                "the model was made for). Raise the limit, or lower generate.max_new_tokens or "
                "stage.max_pixels."
            )

    def _parameters(self, key: Key) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        sampling, grammar = self._sampling, self._grammar
        return SamplingParams(
            max_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=completion_seed(sampling.seed, key),
            **stop_and_forbidden(self._ends, self._processor),
            detokenize=False,
            structured_outputs=StructuredOutputsParams(grammar=grammar) if grammar else None,
        )


class VllmEngine(VllmRequests):
    """Requests to an engine of its own."""

    def __init__(
        self,
        folder: Path,
        processor: Any,
        sampling: Sampling,
        dtype: torch.dtype,
        limits: EngineLimits,
        grammar: str | None = None,
    ) -> None:
        """Start the engine.

        Args:
            folder: what `vllm_folder` wrote.
            processor: the model's.
            sampling: how completions are drawn.
            dtype: of the weights.
            limits: what the engine may use.
            grammar: what completions are held to, in xgrammar's EBNF.

        Raises:
            SggError: the memory is too small.

        """
        engine_here(limits.gpu)
        removed = None if grammar is None else RemovedMass(sampling.temperature)
        ends = end_ids(declared_ends(folder), processor.tokenizer)
        longest = longest_context(folder, limits.max_length)
        llm = _started(folder, dtype, limits, longest, sampling.seed)
        super().__init__(llm, processor, sampling, limits, ends, grammar, longest, removed)

    def close(self) -> None:
        """Give back memory and torch's process group, for what this process does next.

        One of several ranks keeps both: the group is the run's, and the process ends with the run.
        """
        from vllm.distributed import cleanup_dist_env_and_memory

        if self._removed is not None:
            self._removed.close()
        if self._limits.ranks == 1:
            self.llm.llm_engine.engine_core.shutdown()
            del self.llm
            cleanup_dist_env_and_memory()


def _started(
    folder: Path, dtype: torch.dtype, limits: EngineLimits, longest: int, seed: int
) -> Any:
    from vllm import LLM

    register_model(folder)
    try:
        with own_threads():
            return LLM(
                str(folder),
                max_model_len=longest,
                max_num_seqs=limits.in_flight,
                gpu_memory_utilization=limits.gpu_memory_utilization,
                use_tqdm_on_load=False,
                seed=seed,
                **engine_arguments(dtype, limits.gpu, limits.ranks),
            )
    except (torch.OutOfMemoryError, ValueError, RuntimeError) as error:
        if "memory" not in str(error):
            raise
        raise limits.too_small(error) from error


def _keys(batch: Batch) -> list[Key]:
    """The missing completions, the first ones first."""
    return sorted(batch.missing)
