"""How much of a model's probability a grammar's masks take away, measured where vLLM applies them.

Masks hide what a model would have written: completions are sound either way, and this says how much of that
is the model's doing. Measured on what is sampled from: after the temperature, before top_p and top_k.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any


class RemovedMass:
    """The masses of the completions that vLLM makes in this process."""

    def __init__(self, temperature: float) -> None:
        """Measure from now on; before vLLM is imported.

        Args:
            temperature: of the sampling; 0 for greedy, which is measured as 1.

        """
        # the newer runner, for GPUs, applies masks in a kernel of its own, after which nothing is left to see
        os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
        from vllm.v1.worker import gpu_model_runner

        self._temperature = temperature or 1.0
        self._steps: dict[str, list[float]] = defaultdict(list)
        self._apply = gpu_model_runner.apply_grammar_bitmask
        gpu_model_runner.apply_grammar_bitmask = self._measured

    def take(self, request: str) -> float:
        """The mean over a completion's tokens, its end among them; it is forgotten here."""
        steps = self._steps.pop(request)
        return sum(steps) / len(steps)

    def close(self) -> None:
        """Measure no more."""
        from vllm.v1.worker import gpu_model_runner

        gpu_model_runner.apply_grammar_bitmask = self._apply

    def _measured(self, scheduled: Any, grammars: Any, batch: Any, logits: Any) -> None:
        """In the place of vLLM's own, which masks `logits` where they stand, a row for each request."""
        before = (logits.float() / self._temperature).logsumexp(-1)
        self._apply(scheduled, grammars, batch, logits)
        after = (logits.float() / self._temperature).logsumexp(-1)
        removed = (1 - (after - before).exp()).tolist()
        masked = set(grammars.structured_output_request_ids)
        for request, mass in zip(batch.req_ids, removed, strict=True):
            if request in masked:
                name = str(request).rsplit("-", 1)[0]  # vLLM adds a random end
                self._steps[name].append(mass)
