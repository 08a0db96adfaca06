"""Batch arithmetic: how a global batch is cut over processes, micro batches and accumulation.

The one place where these numbers are derived; `validate` calls it before a job is queued and
`train.trl_args` when it runs. Pure integers in, one frozen value out, or an error that says which of
the numbers to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from sgg.errors import SggError


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """global = processes × micro × accumulation, in samples (GRPO: completions) per step."""

    processes: int
    micro_batch: int
    accumulation: int

    @property
    def global_batch(self) -> int:
        """Samples per optimiser step over all processes."""
        return self.processes * self.micro_batch * self.accumulation


STATED_FOR = 3584 * 28
"""`activations_per_token` of the 7B models, for which profiles state their micro batches."""


def largest_micro(stated: int, activations_per_token: int | None) -> int:
    """The micro batch that fits a model, from the profile's for 7B: in proportion to what a token keeps.

    None, of a model that says nothing, takes the profile's number as it stands.

    >>> largest_micro(2, 1536 * 28), largest_micro(2, 2048 * 36), largest_micro(1, 5120 * 64)
    (4, 2, 1)

    """
    if activations_per_token is None:
        return stated
    return max(1, stated * STATED_FOR // activations_per_token)


def steps_of(
    args: Mapping[str, Any], images: int | None, images_of_step: int, leaves_rest: bool
) -> int | None:
    """Optimiser steps of a training, as TRL counts them; None where they follow from images not known yet.

    Args:
        args: `stage.args`.
        images: usable images of the split.
        images_of_step: of one step; GRPO's prompts.
        leaves_rest: whether images that fill no step at an epoch's end are left out, as in GRPO.

    >>> steps_of({"num_train_epochs": 3}, 100, 16, leaves_rest=False)
    21

    """
    if (most := args.get("max_steps", -1)) > 0:
        return int(most)
    if images is None:
        return None
    each = images // images_of_step if leaves_rest else ceil(images / images_of_step)
    each *= args.get("num_iterations", 1) if leaves_rest else 1
    return ceil(args.get("num_train_epochs", 3) * max(each, 1))


def refuse_too_few(prompts_per_step: int, images: int | None) -> None:
    """Raise SggError if GRPO has fewer images than prompts of a step; None is not known yet."""
    if images is not None and images < prompts_per_step:
        raise SggError(
            f"stage.prompts_per_step={prompts_per_step}, but data.train has {images} usable images. "
            "Take fewer prompts per step, or more data."
        )


def plan_batch(
    key: str, global_batch: int, processes: int, micro_batch: int | None, largest_micro: int
) -> BatchPlan:
    """Cut `global_batch` samples.

    Args:
        key: the config key of the global batch, for messages.
        micro_batch: as configured; None takes the largest divisor up to `largest_micro`.
        largest_micro: what fits the hardware.

    Raises:
        SggError: the numbers do not divide.

    >>> plan_batch("stage.global_batch", 128, 4, None, 12)
    BatchPlan(processes=4, micro_batch=8, accumulation=4)

    """
    if global_batch < 1 or processes < 1:
        raise SggError(f"{key}={global_batch} over {processes} processes: both must be at least 1")
    if global_batch % processes:
        raise SggError(
            f"{key} gives {global_batch} samples a step, which {processes} processes cannot share "
            f"evenly. Take a multiple of {processes}, or other hardware.nodes and "
            "hardware.processes_per_node."
        )
    share = global_batch // processes
    if micro_batch is None:
        limit = max(1, min(largest_micro, share))
        micro_batch = next(m for m in range(limit, 0, -1) if share % m == 0)
    if micro_batch < 1 or share % micro_batch:
        divisors = [m for m in range(1, share + 1) if share % m == 0]
        raise SggError(
            f"stage.micro_batch={micro_batch} does not divide the {share} samples that each of "
            f"{processes} processes has in a step ({key} gives {global_batch}). "
            f"Allowed: {', '.join(map(str, divisors))}."
        )
    return BatchPlan(processes, micro_batch, share // micro_batch)
