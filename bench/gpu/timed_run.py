"""A training run in this process, its steps cut into phases: `python bench/gpu/timed_run.py OUT.json WORD…`.

WORDs are those of `sgg`. Phases: `generation`, `rewards`, `preparation` (what else comes before the first
gradient), `update` (forward and backward), `optimizer`; the rest of a step is `other`. Each phase waits for
the GPU, so that its seconds are its own. Neither checkpoints nor a final model are written: they would be
most of a short run. OUT.json holds what was measured until an error or the end of its time.

    --memory-gb 24      as on a smaller card: more is “out of memory”
    --profile N         of which kernels the Nth update is made; no phase of that step counts
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from kernels import profiled
from turn import OutOfTime, add_arguments, turn

GIB = 2**30


class Clock:
    """Seconds by phase; an inner phase's are not the outer one's."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.steps: list[dict[str, Any]] = []
        self._open: list[float] = []
        self._begun: float | None = None

    def now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = self.now()
        if self._begun is None:
            self._begun = start
        self._open.append(0.0)
        try:
            yield
        finally:
            took = self.now() - start
            self.seconds[name] += took - self._open.pop()
            if self._open:
                self._open[-1] += took

    def end_step(self) -> None:
        """The optimiser is done: what was counted is this step's."""
        now = self.now()
        assert self._begun is not None
        whole, named = now - self._begun, sum(self.seconds.values())
        step = {"seconds": whole, **self.seconds, "other": whole - named, **self.counts}
        self.steps.append(step)
        self.seconds.clear()
        self.counts.clear()
        self._begun = now


def wrap(owner: Any, method: str, clock: Clock, phase: str) -> None:
    inner = getattr(owner, method)

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with clock.phase(phase):
            return inner(self, *args, **kwargs)

    setattr(owner, method, timed)


def profile_update(owner: Any, clock: Clock, count: int, kernels: dict[str, Any]) -> None:
    """Profile the `count`th `training_step`, and mark its step."""
    inner, calls = owner.training_step, itertools.count(1)

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls) != count:
            return inner(self, *args, **kwargs)
        clock.counts["profiled"] = 1
        with profiled(kernels):
            return inner(self, *args, **kwargs)

    owner.training_step = watched


def count_tokens(owner: Any, method: str, clock: Clock) -> None:
    """What the loss is taken on: all tokens, those that are completions, and patches of images."""
    inner = getattr(owner, method)

    def counting(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if "completion_mask" in inputs:
            completions = int(inputs["completion_mask"].sum())
            clock.counts["completion_tokens"] += completions
            clock.counts["tokens"] += completions + int(inputs["prompt_mask"].sum())
        else:
            clock.counts["completion_tokens"] += int((inputs["labels"] != -100).sum())
            clock.counts["tokens"] += int(inputs["attention_mask"].sum())
        clock.counts["patches"] += int(inputs["image_grid_thw"].prod(-1).sum())
        return inner(self, model, inputs, *args, **kwargs)

    setattr(owner, method, counting)


def sizes(model: Any) -> dict[str, Any]:
    """Parameters of the parts that a step's arithmetic goes through, and whether they are trained."""
    found: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            part = "adapter"
        elif ".visual." in name:
            part = "vision"
        elif "embed_tokens" in name:
            part = "embedding"
        elif "lm_head" in name:
            part = "head"
        else:
            part = "body"
        found[part] += parameter.numel()
        trained[part] += parameter.numel() * parameter.requires_grad
    return {"parameters": found, "trained": trained}


def count_parameters(owner: Any, facts: dict[str, Any]) -> None:
    inner = owner.train

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        facts.update(sizes(self.model))
        return inner(self, *args, **kwargs)

    owner.train = counting


def watch(clock: Clock, facts: dict[str, Any], profile: int) -> None:
    """Put the clock into sgg's trainers, and take out what is written to the disk."""
    from torch.optim.optimizer import Optimizer

    import sgg.evaluation.stage  # noqa: F401  # with what it needs, before the GPU is this process's turn
    from sgg.train import grpo_trainer, loop, sft

    wrap(grpo_trainer.Trainer, "_generate_single_turn", clock, "generation")
    wrap(grpo_trainer.Trainer, "_calculate_rewards", clock, "rewards")
    wrap(grpo_trainer.Trainer, "_generate_and_score_completions", clock, "preparation")
    count_tokens(grpo_trainer.Trainer, "_compute_loss", clock)
    count_tokens(sft.Trainer, "compute_loss", clock)
    for trainer in (grpo_trainer.Trainer, sft.Trainer):
        count_parameters(trainer, facts)
        if profile:
            profile_update(trainer, clock, profile, facts.setdefault("kernels", {}))
        wrap(trainer, "training_step", clock, "update")
    # torch wraps each optimiser's step by this method when the optimiser is made
    inner: Callable[..., Any] = Optimizer.profile_hook_step

    def stepping(function: Any) -> Any:
        hooked = inner(function)

        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            with clock.phase("optimizer"):
                done = hooked(self, *args, **kwargs)
            clock.end_step()
            return done

        step.hooked = True  # type: ignore[attr-defined]
        return step

    Optimizer.profile_hook_step = staticmethod(stepping)

    def no_checkpoint(self: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def no_model(trainer: Any, run_dir: Path, merge: bool) -> None:
        """Nothing."""

    loop.AtomicCheckpoints._save_checkpoint = no_checkpoint
    loop._keep_model = no_model


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--memory-gb", type=float, help="no more of the GPU's memory than this")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="the Nth update")
    add_arguments(parser)
    parser.add_argument("words", nargs="+")
    chosen = parser.parse_args()
    gpu = torch.cuda.is_available()
    if gpu and chosen.memory_gb:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, chosen.memory_gb * 1e9 / whole))
    clock, facts = Clock(), dict[str, Any]()
    watch(clock, facts, chosen.profile)
    import launchers.local
    from sgg.main import main as sgg

    launchers.local.launch = lambda frozen, config, run_stage: run_stage(frozen)
    sys.argv = ["sgg", *chosen.words]
    code: Any = 0
    try:
        with turn(chosen):  # whoever waits has its imports behind it
            start = time.perf_counter()
            try:
                sgg()
            finally:
                facts["run_s"] = time.perf_counter() - start
    except SystemExit as end:  # a success, too
        code = end.code
    except OutOfTime as end:
        facts["stopped"] = str(end)
    facts["peak_gib"] = torch.cuda.max_memory_allocated() / GIB if gpu else None
    chosen.out.write_text(json.dumps({**facts, "steps": clock.steps}, indent=1))
    sys.exit(code)


if __name__ == "__main__":
    main()
