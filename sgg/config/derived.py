"""What follows from a config: facts that several modules need, computed in one place."""

from __future__ import annotations

from dataclasses import replace

from sgg.config.data import DataConfig
from sgg.config.generate import Engine
from sgg.config.hardware import SERVER_KEY_VARIABLE, Precision, RolloutMode
from sgg.config.model import Dtype
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, EvaluationEngine, GrpoConfig, TrainStageConfig


def pixel_budget(config: Config) -> tuple[int, int]:
    """(min, max) area of a resized image: the model's, lowered by the stage."""
    limit = config.stage.max_pixels or config.model.max_pixels
    return config.model.min_pixels, min(config.model.max_pixels, limit)


def read_split(config: Config) -> str:
    """Which split the stage reads, train or eval: SFT and GRPO read train."""
    return config.stage.split.name if isinstance(config.stage, EvalConfig) else "train"


def scored_split(config: Config) -> str:
    """Which split completions are scored against: an evaluation's, and eval without one."""
    return config.stage.split.name if isinstance(config.stage, EvalConfig) else "eval"


def takes_fixed_samples(config: Config) -> bool:
    """Whether the run trains and completes images of the eval split meanwhile."""
    return bool(config.tracker.samples_every) and not isinstance(config.stage, EvalConfig)


def evaluates_while_training(config: Config) -> bool:
    """Whether the run trains and evaluates images of the eval split meanwhile."""
    stage = config.stage
    return isinstance(stage, TrainStageConfig) and stage.evaluate.every_steps > 0


def evaluates_by_rollouts(config: Config) -> bool:
    """Whether what generates GRPO's completions also completes the images that are evaluated meanwhile."""
    stage = config.stage
    has_rollouts = config.hardware.rollout.mode is not RolloutMode.trainer
    return (
        isinstance(stage, GrpoConfig)
        and stage.evaluate.every_steps > 0
        and has_rollouts
        and stage.evaluate.engine is not EvaluationEngine.hf
    )


def weights_precision(config: Config, *, trains: bool) -> Precision:
    """Of a run's weights as they are loaded."""
    if config.model.dtype is not Dtype.auto:
        return Precision.fp32 if config.model.dtype is Dtype.float32 else Precision.bf16
    # an optimiser changes these very weights, with no fp32 copy
    updated = config.deepspeed is None and not config.model.lora.enable
    return Precision.fp32 if trains and updated else config.hardware.precision


def zero_stage(config: Config) -> int:
    """Of DeepSpeed's ZeRO; 0 without."""
    stage = ((config.deepspeed or {}).get("zero_optimization") or {}).get("stage")
    return stage if isinstance(stage, int) else 0


def in_pieces(config: Config) -> bool:
    """Whether no rank holds whole weights: ZeRO-3 and FSDP."""
    return config.fsdp is not None or zero_stage(config) == 3


def node_count(config: Config) -> int:
    """Nodes that a run takes: those that train, and those that only serve."""
    return config.hardware.nodes + (config.hardware.rollout.nodes if serves(config) else 0)


def gpus_per_node(config: Config) -> int:
    """GPUs that a run takes on each of its nodes."""
    hardware = config.hardware
    if not hardware.gpu:
        return 0
    return hardware.processes_per_node + (hardware.rollout.gpus_per_node if serves(config) else 0)


def serves(config: Config) -> bool:
    """Whether the run has rollout servers: only GRPO generates while it trains."""
    serves = config.hardware.rollout.mode is RolloutMode.server
    return serves and isinstance(config.stage, GrpoConfig)


def gold_data(config: Config) -> DataConfig:
    """The data that a protocol scores against: some keep gold relations that are annotated twice."""
    wanted = config.protocol.gold_duplicates
    return config.data if wanted is None else replace(config.data, duplicates=wanted)


def signs_requests(config: Config) -> bool:
    """Whether completions come from servers of `sgg serve`, which share a key with their clients."""
    generate = config.generate
    return generate.engine is Engine.server and generate.api_key_env == SERVER_KEY_VARIABLE
