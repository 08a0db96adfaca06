"""vLLM rollouts for TRL with the trainer's current weights and pixels, and a timeout on every wait.

Input: prompts as token ids and images, of which a group's rows follow each other. Output: completions
with the log-probabilities they were sampled with. What is gathered and sampled is TRL's; here stands what
`colocated.py` and `remote.py` share: seeds that depend on the step only, so that a resumed run draws the
same, and the check that vLLM really has the weights (`weight_probe.py`).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object, is_peft_model
from trl.generation.vllm_generation import VLLMGeneration

from sgg.errors import SggError
from sgg.inference.generate import Completion, Key, Questions, Sampling
from sgg.inference.requests import resized
from sgg.rollout.merged import merged_weights
from sgg.rollout.settings import RolloutSettings
from sgg.rollout.watchdog import limited
from sgg.rollout.weight_probe import Probe, ProbeResult

log = logging.getLogger("sgg")


class Rollouts(VLLMGeneration):  # type: ignore[misc]
    """In the place of TRL's class."""

    def __init__(self, settings: RolloutSettings, step: Callable[[], int], **theirs: Any) -> None:
        """Make TRL's.

        Args:
            settings: of the run.
            step: gives the optimiser step that completions are drawn for.
            theirs: arguments of `VLLMGeneration`.

        """
        self._settings, self._step = settings, step
        self._drawn = (-1, 0)
        self._probe: Probe | None = None
        self._weight_metadata: list[tuple[str, str, list[int]]] | None = None
        theirs["generation_kwargs"] = settings.sampling | (theirs["generation_kwargs"] or {})
        super().__init__(**theirs)

    @abstractmethod
    def push(self) -> None:
        """Give vLLM the trainer's weights, and let it forget what it made of the old ones."""

    @abstractmethod
    def ask(self, probe: Probe) -> list[ProbeResult] | str:
        """The probe's results by this rank's engine or by all servers, or a message; collective."""

    @abstractmethod
    def complete(self, questions: Questions, sampling: Sampling) -> list[tuple[Key, Completion]]:
        """Completions of other images than the trainer's, of which each is somewhere; collective.

        The weights are those of the last push. The next rollouts need another one: it empties the caches,
        which then hold what they would hold without these images.
        """

    def sync_weights(self) -> None:
        """Push the trainer's weights; returns once vLLM has been seen to generate by them.

        Raises:
            SggError: on all ranks; vLLM does not take the weights.

        """
        self.push()
        fault = self._disagreement()
        if fault is not None:
            log.warning("After the push of step %d: %s Pushing once more.", self._step(), fault)
            self.push()
            fault = self._disagreement()
        if fault is not None and self._settings.exact:
            raise SggError(f"Pushed twice, vLLM does not have the trainer's weights: {fault}")
        if fault is not None:  # it may be rounding: the completions themselves will show it
            log.warning("Pushed twice: %s", fault)

    def _iter_named_params(self) -> Iterator[tuple[str, torch.Tensor]]:
        """As TRL's, but an adapter is merged into copies of the base."""
        if not is_peft_model(self.model):
            yield from super()._iter_named_params()
            return
        device = self.accelerator.device
        for name, weight in merged_weights(self.model, self._dist.gather_params, device):
            yield self._fix_param_name_to_vllm(name), weight

    def _disagreement(self) -> str | None:
        """What the probe finds, of every engine; the same on all ranks."""
        if self._probe is None:
            self._probe = Probe(self._settings, self.processing_class)
        probe = self._probe
        with self.limited("asking the probe"):
            results = self.ask(probe)
        if isinstance(results, str):
            return results
        ours = [probe.disagreement(self.model, self.accelerator, result) for result in results]
        return next((fault for fault in gather_object(ours) if fault is not None), None)

    def seeds(self, count: int) -> list[int]:
        """A seed for each prompt, from the run's seed, the step, and how often this step has drawn.

        A group's completions count up from its prompt's.
        """
        step = self._step()
        again = self._drawn[1] + 1 if self._drawn[0] == step else 0
        self._drawn = (step, again)
        rng = np.random.default_rng([self._settings.seed, step, again])
        return [int(s) for s in rng.integers(0, 1 << 48, count)]

    def resized(self, images: list[list[Any] | None]) -> list[list[Any] | None]:
        """Images as transformers' processor would resize them; a group's rows go on sharing one."""
        known: dict[int, Any] = {}
        for image in (image for row in images for image in row or []):
            if id(image) not in known:
                known[id(image)] = resized(image, self._settings.processor)
        return [None if row is None else [known[id(image)] for image in row] for row in images]

    @abstractmethod
    def completions(
        self, prompts: list[list[int]], images: list[list[Any] | None], group: int, profiler: Any
    ) -> tuple[list[list[int]], list[list[list[float | None]]]]:
        """Completions and log-probabilities of this rank's prompts; images are as vLLM wants them."""

    def generate(
        self,
        prompts: list[list[int]],
        images: list[list[Any] | None] | None,
        num_generations: int,
        profiler: Any = None,
    ) -> tuple[Any, ...]:
        """See TRL's.

        Raises:
            SggError: on all ranks; a prompt is too long, or servers failed twice.

        """
        own = "stage.args.max_completion_length"
        self.check_lengths(prompts, own, self.max_completion_length)
        resized = self.resized(images or [None] * len(prompts))
        found = self.completions(prompts, resized, num_generations, profiler or nullcontext())
        return prompts, *found, None

    def check_lengths(self, prompts: list[list[int]], key: str, most: int) -> None:
        """Raise SggError for a prompt that leaves too little room: vLLM would cut its completions short.

        Args:
            prompts: their tokens.
            key: of the config that says how long a completion may be.
            most: its value, tokens.

        """
        longest, room = max(map(len, prompts), default=0), self._settings.max_length
        if longest + most > room:
            raise SggError(
                f"A prompt of {longest} tokens and {key}={most} are more than "
                f"hardware.rollout.max_length={room}. Raise the latter, or lower {key} or stage.max_pixels."
            )

    @contextmanager
    def limited(self, what: str, seconds: float | None = None) -> Iterator[None]:
        """By default twice the limit of one request: the message with its reason comes first."""
        settings = self._settings
        count = max(1, len(settings.servers))
        with limited(
            f"{what} (vLLM)", seconds or 2 * count * settings.wait_timeout_s, settings.logs
        ):
            yield
