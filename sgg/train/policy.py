"""The policy as it generates between two steps: nothing of it is changed, so no weight depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate.utils import is_peft_model


@contextmanager
def generating(trainer: Any) -> Iterator[Any]:
    """The model that a trainer trains, with its adapter, for `HfEngine`; not where weights lie in pieces.

    At the end of the block its settings are what they were before.
    """
    policy = trainer.accelerator.unwrap_model(trainer.model)
    model = policy.get_base_model() if is_peft_model(policy) else policy
    settings, trains = model.generation_config, model.training
    try:
        yield model
    finally:
        model.generation_config = settings
        model.train(trains)
