"""How long the parts of a training step take, and what memory they take."""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Times of the steps since they were last logged, by phase.

    Nothing waits for a GPU for their sake: work that is queued there counts in the phase that waits for it.
    """

    def __init__(self) -> None:
        self.others: list[Callable[[], dict[str, float]]] = []
        """What else is logged with the times, since it was last logged."""
        self._seconds: dict[str, float] = defaultdict(float)
        self._steps = 0
        self._open: list[float] = []
        self._begun = self._update_begun = 0.0
        self._tokens: float | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A part of a step; time in a phase within it counts there alone."""
        begun = time.perf_counter()
        self._open.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self._seconds[name] += took - self._open.pop()
            if self._open:
                self._open[-1] += took

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tokens are counted from 0; how many a resumed run has seen, its first log tells."""
        self._tokens = 0.0 if state.global_step == 0 else None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The first micro batch comes next."""
        self._begun = time.perf_counter()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """All gradients are there."""
        self._update_begun = time.perf_counter()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The weights are updated."""
        self._seconds["optimizer"] += time.perf_counter() - self._update_begun

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One step further."""
        self._seconds["step"] += time.perf_counter() - self._begun
        self._steps += 1

    def measured(self, tokens: float | None) -> dict[str, float]:
        """Means over the steps since the last call by their names (`tracking.names`); none without a step.

        Args:
            tokens: seen so far; None where they are not counted.

        """
        if not self._steps:
            return {}
        seconds, steps = self._seconds, self._steps
        self._seconds, self._steps = defaultdict(float), 0
        whole = seconds.pop("step")
        measured = {f"speed/{name}_s": value / steps for name, value in seconds.items()}
        measured["speed/update_s"] = (whole - sum(seconds.values())) / steps
        measured["speed/step_s"] = whole / steps
        if tokens is not None and self._tokens is not None:
            measured["speed/tokens_per_s"] = (tokens - self._tokens) / whole
        self._tokens = tokens
        measured["speed/memory_gb"] = _peak_bytes() / 1e9
        for other in self.others:
            measured |= other()
        return measured


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
