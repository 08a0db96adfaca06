"""Refuses configs whose runs could not be resumed exactly, because a checkpoint lacks some of the state.

Input: a typed `Config`. Output: messages about problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sgg.config.model import Init
from sgg.config.schema import Config
from sgg.config.stage import GrpoConfig, TrainStageConfig


def resume_problems(config: Config) -> Iterator[str]:
    """Each setting under which a resumed run would differ from an undisturbed one."""
    stage = config.stage
    assert isinstance(stage, TrainStageConfig)
    is_random = config.model.init is Init.random
    if is_random and config.model.lora.enable:
        yield (
            "model.init=random with model.lora.enable=true: checkpoints hold the adapter only, and it would "
            "be put onto the weights of model.path, not onto the random ones below it now. Take "
            "model.lora.enable=false, or model.init=pretrained."
        )
    if isinstance(stage, GrpoConfig):
        yield from _grpo(stage.args, is_random)


def _grpo(args: dict[str, Any], is_random: bool) -> Iterator[str]:
    beta = args.get("beta", 0.0)
    if is_random and isinstance(beta, (int, float)) and beta > 0:
        yield (
            f"stage.args.beta={beta} with model.init=random: the reference is read from model.path and would "
            "be the weights there, not the random ones that the run starts from. Take stage.args.beta=0, or "
            "model.init=pretrained."
        )
    iterations, save_steps = args.get("num_iterations", 1), args.get("save_steps", 500)
    if not isinstance(iterations, int) or not isinstance(save_steps, (int, float)):
        return
    if iterations > 1 and args.get("save_strategy") == "epoch":
        yield (
            f"stage.args.save_strategy=epoch with stage.args.num_iterations={iterations}: an epoch may end "
            "between the steps that reuse completions, and a checkpoint there cannot be resumed exactly. "
            "Take save_strategy=steps."
        )
    elif iterations > 1 and (save_steps < 1 or save_steps % iterations):
        yield (
            f"stage.args.save_steps={save_steps} must be a multiple of "
            f"stage.args.num_iterations={iterations}: completions are reused over that many steps, and "
            "a checkpoint between them cannot be resumed exactly."
        )
