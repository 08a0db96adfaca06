"""Substitutes our rollout classes inside TRL, whose GRPOTrainer accepts no engine or client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from trl.trainer import grpo_trainer

from sgg.compat.trl import replaced
from sgg.inference.vllm.setup import engine_here
from sgg.rollout.settings import RolloutSettings


@contextmanager
def install_rollouts(settings: RolloutSettings, step: Callable[[], int]) -> Iterator[None]:
    """TRL's GRPOTrainer, made inside the block, generates by our rollouts, for the step that `step` gives."""
    with replaced(grpo_trainer, "VLLMGeneration", partial(_rollouts(settings), settings, step)):
        yield


def _rollouts(settings: RolloutSettings) -> Any:
    if settings.servers:
        from sgg.rollout.remote import Remote

        return Remote
    engine_here(settings.gpu)  # before vLLM is imported
    from sgg.rollout.colocated import Colocated

    return Colocated
