"""Whether a run can be sharded as configured: DeepSpeed's and FSDP's settings, together and alone.

Input: a typed `Config`. Output: messages about problems. What the machine of the run must have (a
compiler) is looked at there, by `train.sharding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sgg.config.schema import Config

_FOLLOWS = {
    "activation_checkpointing": "hardware.gradient_checkpointing",
    "version": "nothing: FSDP2 is the one that is used",
    "auto_wrap_policy": "nothing: every layer is a unit",
    "state_dict_type": "nothing: checkpoints hold whole weights, for `from_pretrained`",
}
"""transformers' `fsdp_config` fields that are settled, and the key to set instead."""

_OWNED_DEEPSPEED = {
    "train_batch_size": "stage.global_batch or stage.prompts_per_step",
    "train_micro_batch_size_per_gpu": "stage.micro_batch",
    "gradient_accumulation_steps": "stage.micro_batch",
    "gradient_clipping": "stage.args.max_grad_norm",
    "optimizer": "stage.args.learning_rate, weight_decay, adam_beta1 …",
    "scheduler": "stage.args.lr_scheduler_type",
    "fp16": "hardware.precision",
}
"""DeepSpeed's settings that follow from other keys where they are `auto` or left out."""


def sharding_problems(config: Config) -> Iterator[str]:
    """What is wrong with `deepspeed` and `fsdp` in a training stage."""
    if config.deepspeed is not None and config.fsdp is not None:
        yield "deepspeed and fsdp both shard the model. Set one of them to null: fsdp=null or deepspeed=null."
        return
    chosen = "deepspeed" if config.deepspeed is not None else "fsdp"
    if (config.deepspeed or config.fsdp) is None:
        return
    if config.hardware.ranks == 1 and not config.hardware.gpu:
        yield (
            f"{chosen} shards the model, but there is only one process (hardware.processes_per_node=1). "
            f"Take hardware.processes_per_node=2 or more, or {chosen}=null."
        )
    if config.deepspeed is not None:
        yield from _deepspeed(config.deepspeed)
    if config.fsdp is not None:
        yield from _fsdp(config.fsdp)


def _deepspeed(settings: dict[str, Any]) -> Iterator[str]:
    zero = settings.get("zero_optimization") or {}
    stage = zero.get("stage")
    if stage not in (1, 2, 3):
        yield f"deepspeed.zero_optimization.stage={stage}: must be 1, 2 or 3."
    if stage != 3 and "offload_param" in zero:
        yield (
            f"deepspeed.zero_optimization.offload_param would be ignored with stage={stage}: weights are "
            "whole on each rank. Take deepspeed=zero3_offload."
        )
    if stage == 3 and not zero.get("stage3_gather_16bit_weights_on_model_save"):
        yield (
            "deepspeed.zero_optimization.stage3_gather_16bit_weights_on_model_save must be true: without "
            "it checkpoints and the final model have no weights that can be loaded."
        )
    for name, key in _OWNED_DEEPSPEED.items():
        if settings.get(name, "auto") != "auto":
            yield f"deepspeed.{name}: follows from other keys; set {key} instead."


def _fsdp(settings: dict[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if name in _FOLLOWS:
            yield f"fsdp.{name}: follows from other keys; set {_FOLLOWS[name]} instead."
        elif name != "reshard_after_forward":
            yield f"fsdp.{name}: no such key. Allowed under fsdp: reshard_after_forward."
        elif not isinstance(value, bool):
            yield f"fsdp.{name}={value!r}: must be true or false."
