"""A small request whose result shows whether vLLM has the trainer's weights, the vision tower's too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgg.rollout.settings import RolloutSettings


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What vLLM wrote."""

    tokens: list[int]
    logprobs: list[float]
    """Of these tokens, nats, at temperature 1."""


class Probe:
    """An image of noise and a question; vLLM writes a few tokens, the trainer scores the same ones."""

    LENGTH = 4
    """Tokens."""

    def __init__(self, settings: RolloutSettings, processor: Any) -> None:
        self._settings = settings
        noise = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
        self.image = Image.fromarray(noise)
        content = [{"type": "image", "image": self.image}, {"type": "text", "text": "?"}]
        self._inputs = processor.apply_chat_template(
            [[{"role": "user", "content": content}]],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        self.ids: list[int] = self._inputs["input_ids"][0].tolist()
        bias = settings.sampling["logit_bias"]  # in the trainer's head, too
        # greedy, scored as at temperature 1: of likely tokens rounding changes the scores least
        self.sampling = {"temperature": 0.0, "ignore_eos": True, "logit_bias": bias}
        """Arguments of vLLM's SamplingParams."""

    def disagreement(self, model: Any, accelerator: Any, result: ProbeResult) -> str | None:
        """Compare with the trainer's log-probabilities of the same tokens; all ranks call it."""
        ours = self._score(model, accelerator, result.tokens)
        gap = max(abs(a - b) for a, b in zip(ours, result.logprobs, strict=True))
        if gap <= self._settings.tolerance:
            return None
        return (
            f"on the probe prompt its log-probabilities differ from the trainer's by {gap:.3g} nats, where "
            f"{self._settings.tolerance:g} is allowed."
        )

    def _score(self, model: Any, accelerator: Any, tokens: list[int]) -> list[float]:
        scores = self._logits(model, accelerator, tokens).log_softmax(-1)
        return [float(s) for s in scores[torch.arange(len(tokens)), tokens]]

    @torch.no_grad()
    def _logits(self, model: Any, accelerator: Any, tokens: list[int]) -> torch.Tensor:
        """The trainer's, of each of these tokens after those before it: (tokens, vocabulary), fp32."""
        more = torch.tensor([tokens])
        inputs = {k: v.to(accelerator.device) for k, v in self._inputs.items()}
        for name, fill in (("attention_mask", 1), ("mm_token_type_ids", 0)):
            if name in inputs:
                grown = torch.cat([inputs[name], torch.full_like(more, fill).to(inputs[name])], 1)
                inputs[name] = grown
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more.to(accelerator.device)], 1)
        was_training = model.training
        model.eval()
        with accelerator.autocast():
            output = model(**inputs, logits_to_keep=len(tokens) + 1)
        logits: torch.Tensor = output.logits[0, :-1].float()
        model.train(was_training)
        return logits.cpu()
