"""Whether `stage.args` can be handed to TRL: fields, types, limits, and promises they would break."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sgg.errors import did_you_mean
from sgg.plan.rules.schedules import problems_of_schedule
from sgg.plan.rules.stage_fields import CHOICES, CHOICES_IN, FIXED, FIXED_IN, OWNED, RANGES
from sgg.plan.rules.trl_fields import fits, trl_fields

_NEEDED = ("num_generations", "max_completion_length", "shuffle_dataset", "pad_to_multiple_of")
"""Fields that TRL lets be null, but does without nowhere."""

_OF_ADAMW = ("optim", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")


def problems_with(stage: str, args: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with `stage.args`: unknown, owned by another key, type, range, promise."""
    known = trl_fields(stage)
    fixed, choices = FIXED | FIXED_IN[stage], CHOICES | CHOICES_IN[stage]
    for name, value in args.items():
        key = f"stage.args.{name}"
        if name not in known:
            yield f"{key}: TRL's {stage.upper()} config has no such field.{did_you_mean(name, known)}"
        elif name in OWNED:
            yield f"{key}: follows from other keys; set {OWNED[name]} instead."
        elif name in fixed:
            allowed, why = fixed[name]
            if value not in allowed:
                words = " or ".join("null" if v is None else str(v).lower() for v in allowed)
                yield f"{key}={value!r}: only {words}: {why}."
        elif not fits(value, known[name]):
            yield f"{key}={value!r}: must be {known[name]}."
        elif isinstance(value, str) and "dict" in known[name]:
            yield f"{key}={value!r}: must be options by name. Write {key}.NAME=VALUE."
        elif value is None and name in _NEEDED:
            yield f"{key}=null: must have a value."
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{key}={value}: must be a finite number."
        elif name in RANGES and isinstance(value, (int, float)) and not RANGES[name][0](value):
            yield f"{key}={value}: must be {RANGES[name][1]}."
        elif name in choices and isinstance(value, str) and value not in choices[name]:
            yield (
                f"{key}={value}: sgg takes {', '.join(choices[name])}."
                f"{did_you_mean(value, choices[name])} docs/stage_args.md says why no others."
            )
    yield from problems_of_schedule(args)


def unread_by_muon(args: Mapping[str, Any]) -> Iterator[str]:
    """Fields of TRL's own optimiser, which stage.optimizer.kind=muon_adamw replaces."""
    for name in _OF_ADAMW:
        if name in args:
            yield (
                f"stage.args.{name} is read by TRL's optimisers only. Take stage.optimizer.kind=trl, or "
                "leave it out."
            )
    if "learning_rate" not in args:
        yield "stage.optimizer.kind=muon_adamw needs stage.args.learning_rate, for what is no matrix."


def unread_without_vllm(args: Mapping[str, Any]) -> Iterator[str]:
    """Fields of vLLM's rollouts, where the ranks generate themselves."""
    for name in args:
        if name.startswith("vllm_") and name not in OWNED:
            yield (
                f"stage.args.{name} is read with hardware.rollout.mode=colocate or server only. Take one of "
                "these, or leave it out."
            )
