"""Whether what a training keeps from step to step fits into a GPU's memory.

Input: a typed `Config`. Output: messages. A lower bound, from bytes per parameter: activations, buffers of
messages and what a library keeps beside come on top, so what exceeds the card is certain not to fit.

Bytes per parameter: with bf16 DeepSpeed has 2 of weights, 2 of gradients and 12 of the optimiser (an fp32
copy and AdamW's two moments; Rajbhandari et al., ZeRO, arXiv 1910.02054, section 3.1); without DeepSpeed
weights, gradients and each moment are as wide as the weights are loaded, 16 in all with fp32. Parts that are
split count by the number of ranks, parts in CPU memory not at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.derived import weights_precision, zero_stage
from sgg.config.hardware import Precision, RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import GrpoConfig, OptimizerKind, TrainStageConfig

GIB = 2**30
"""A card of 24 GB has 24 GiB."""

LEAST_LEFT = 0.1
"""Part of a card that a training takes beyond these states: full SFT of a 3B model took 9 GiB more than they
do (docs/gpu.md)."""


def memory_problems(config: Config) -> Iterator[str]:
    """What is certain not to fit."""
    needed, card = state_bytes(config), config.hardware.gpu_memory_gb
    if needed is None or card is None or needed <= card * GIB:
        return
    yield (
        f"hardware.gpu_memory_gb={card}: weights, gradients and optimiser states of model.parameters="
        f"{config.model.parameters} take {needed / GIB:.0f} GiB or more on each GPU. Take "
        "model.lora.enable=true; or split them over more GPUs (hardware.nodes or "
        "hardware.processes_per_node, with fsdp=full_shard or deepspeed=zero3); or keep them in CPU memory "
        "(deepspeed=zero3_offload fsdp=null). If the model at model.path is smaller, say so by "
        "model.parameters."
    )


def memory_doubt(config: Config) -> str:
    """A phrase for the line that runs begin with, where little is left for activations; else empty."""
    needed, card = state_bytes(config), config.hardware.gpu_memory_gb
    if needed is None or card is None:
        return ""
    left = card * GIB - needed - _engine_share(config) * card * GIB
    if left >= LEAST_LEFT * card * GIB:
        return ""
    return (
        f", warning: {max(left, 0) / GIB:.1f} of hardware.gpu_memory_gb={card} are left for activations "
        f"beside {needed / GIB:.1f} GiB of weights, gradients and optimiser states"
    )


def state_bytes(config: Config) -> int | None:
    """The least that a training keeps on one GPU from step to step; None where it is not known.

    Where only a part of the model learns, or by another optimiser than AdamW, what that takes is left out.
    """
    count, stage, model = config.model.parameters, config.stage, config.model
    if count is None or not isinstance(stage, TrainStageConfig) or not config.hardware.gpu:
        return None
    zero, ranks = zero_stage(config), config.hardware.ranks
    bf16 = config.hardware.precision is Precision.bf16
    by_deepspeed = config.deepspeed is not None
    loaded = weights_precision(config, trains=True) is Precision.bf16
    weights = 2 if (bf16 if by_deepspeed else loaded) else 4
    gradients = optimiser = 0
    if not (
        model.lora.enable or model.freeze_vision or model.freeze_merger or model.freeze_language
    ):
        gradients = weights
        optimiser = 4 if by_deepspeed and bf16 else 0
        optimiser += 2 * (4 if by_deepspeed else weights) if _is_adamw(stage) else 0
    settings = (config.deepspeed or {}).get("zero_optimization") or {}
    if _offloads(settings, "offload_optimizer"):
        gradients = optimiser = 0
    if _offloads(settings, "offload_param"):
        weights = 0
    split = config.fsdp is not None
    kept_whole = (config.fsdp or {}).get("reshard_after_forward") is False
    whole = 2 if bf16 and kept_whole else 0
    parts = (
        (weights, split or zero == 3),
        (gradients, split or zero >= 2),
        (optimiser, split or zero >= 1),
    )
    at_step = [count * each // (ranks if shared else 1) for each, shared in parts]
    # whole weights stand from forward to backward, when earlier gradients may be gone
    return max(sum(at_step), count * whole + at_step[0] + at_step[2])


def _is_adamw(stage: TrainStageConfig) -> bool:
    """Whether the optimiser is torch's AdamW, which transformers takes by default."""
    named = stage.args.get("optim", "adamw_torch_fused") in ("adamw_torch", "adamw_torch_fused")
    return named and stage.optimizer.kind is OptimizerKind.trl


def _offloads(settings: dict[str, object], part: str) -> bool:
    """Whether DeepSpeed keeps a part outside the GPU."""
    where = settings.get(part)
    return isinstance(where, dict) and where.get("device", "none") != "none"


def _engine_share(config: Config) -> float:
    """Part of the GPU that a vLLM engine in the rank takes while it trains."""
    rollout, stage = config.hardware.rollout, config.stage
    if not isinstance(stage, GrpoConfig) or rollout.mode is not RolloutMode.colocate:
        return 0.0
    return 0.0 if stage.args.get("vllm_enable_sleep_mode") else rollout.share
