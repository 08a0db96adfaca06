"""When each key of the config is read: one table, for `unread` to find what a user set for nothing.

Comes in: nothing. Goes out: `READ`, by key or by the group above it. A key counts as read where every entry
on the way down to it holds (`generate`, then `generate.top_p`). Every key of the schema has an entry of its
own or one that ends in `.*`; tests/conf goes over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sgg.config import (
    Config,
    Engine,
    EvalConfig,
    GrpoConfig,
    OptimizerKind,
    SftConfig,
    TrackerKind,
    TrainStageConfig,
)
from sgg.hardware import RolloutMode
from sgg.options import BOX_FORMAT_SOURCES, Pictures, Source, Template


@dataclass(frozen=True)
class Use:
    """What is about to read a config."""

    config: Config
    launcher: str = ""
    """hydra/launcher of a run or sweep; empty for a tool."""
    is_sweep: bool = False


@dataclass(frozen=True)
class When:
    """A condition under which a key is read."""

    words: str
    """After "is read"."""
    holds: Callable[[Use], bool]
    here: str = ""
    """Keys whose values say why it does not hold."""
    instead: str = ""
    """A sentence: what makes it read."""
    changes_results: bool = True
    """Whether data, training, answers or scores depend on it where it is read; else it is only told."""


def _stage(use: Use, *kinds: type) -> bool:
    return isinstance(use.config.stage, kinds)


def _rollout(use: Use, *modes: RolloutMode) -> bool:
    return _stage(use, GrpoConfig) and use.config.hardware.rollout.mode in modes


def _source(use: Use, *but: Source) -> bool:
    return use.config.data.source not in but


def _files(use: Use) -> bool:
    return _source(use, Source.shapes) and use.config.data.pictures is Pictures.files


def _answers(use: Use, *engines: Engine) -> bool:
    return _stage(use, EvalConfig) and use.config.generate.engine in engines


def _on_hub(use: Use) -> bool:
    path = use.config.model.path
    return path.count("/") == 1 and not Path(path).expanduser().exists()


def _fits_micro_batch(use: Use, kinds: tuple[type, ...]) -> bool:
    stage = use.config.stage
    return isinstance(stage, TrainStageConfig) and _stage(use, *kinds) and stage.micro_batch is None


def _within_stage(use: Use) -> bool:
    limit = use.config.stage.max_pixels
    return limit is None or use.config.model.max_pixels <= limit


def _within_model(use: Use) -> bool:
    limit = use.config.stage.max_pixels
    return limit is None or limit <= use.config.model.max_pixels


def _muon(use: Use) -> bool:
    stage = use.config.stage
    return isinstance(stage, TrainStageConfig) and stage.optimizer.kind is OptimizerKind.muon_adamw


def _args(use: Use, name: str, default: object) -> object:
    stage = use.config.stage
    return stage.args.get(name, default) if isinstance(stage, TrainStageConfig) else default


def _by_epochs(use: Use) -> bool:
    steps = _args(use, "max_steps", -1)
    return not isinstance(steps, int) or steps <= 0


def _free_names(use: Use) -> bool:
    from sgg.spec import structure  # which loads numpy

    held = structure(use.config) if use.config.structure is not None else None
    return held is not None and held.vocabulary is None


_GRPO = When(
    "with stage=grpo", lambda use: _stage(use, GrpoConfig), "stage.name", "Take stage=grpo"
)
_EVAL = When(
    "with stage=eval", lambda use: _stage(use, EvalConfig), "stage.name", "Take stage=eval"
)
_GENERATE = When(
    "with stage=eval",
    lambda use: _stage(use, EvalConfig),
    "stage.name",
    "Take stage=eval (GRPO's own answers follow stage.args.temperature, top_p, max_completion_length …)",
)
_TRAINING = When(
    "with stage=sft or stage=grpo",
    lambda use: _stage(use, TrainStageConfig),
    "stage.name",
    "Take one of these stages",
)
_LORA = When(
    "with model.lora.enable=true",
    lambda use: use.config.model.lora.enable,
    "model.lora.enable",
    "Take model.lora.enable=true",
)
_HUB = When("for a hub id", _on_hub, "model.path", "Name the model by its hub id")
_MUON = When(
    "with stage.optimizer.kind=muon_adamw",
    _muon,
    "stage.optimizer.kind",
    "Take stage.optimizer.kind=muon_adamw; TRL's optimiser learns at stage.args.learning_rate",
)
_ANNOTATED = When(
    "with annotated data, such as data=jsonl or data=coco",
    lambda use: _source(use, Source.shapes),
    "data.source",
    "Choose the data set by data=…",
)
_FILES = When(
    "where pictures are files, not drawn by data=shapes or data.pictures=painted",
    _files,
    "data.source data.pictures",
    "Choose the data set by data=…, or take data.pictures=files",
)
_SHAPES = When(
    "with data=shapes",
    lambda use: use.config.data.source is Source.shapes,
    "data.source",
    "Take data=shapes",
)
_PATH = When(
    "where a split is a file or hub id",
    lambda use: _source(use, Source.shapes, Source.vrd),
    "data.source",
    "Choose the data set by data=…, such as data=jsonl; data=vrd finds its files by the split's name",
)
_NAME = When(
    "where the source names its splits",
    lambda use: _source(use, Source.shapes, Source.gqa, Source.jsonl),
    "data.source",
    "Name the file by .path, or choose the data set by data=…",
)
_BOX_FORMAT = When(
    "where the source does not fix it (data=jsonl, coco, vg150, psg)",
    lambda use: use.config.data.source in BOX_FORMAT_SOURCES,
    "data.source",
    "Choose another data set by data=…, for the boxes of this one have one form",
)
_DUPLICATES = When(
    "where protocol.gold_duplicates does not say it",
    lambda use: _stage(use, TrainStageConfig) or use.config.protocol.gold_duplicates is None,
    "protocol.gold_duplicates",
    "Choose another protocol",
)
_MODEL_PIXELS = When(
    "up to the limit of the stage",
    _within_stage,
    "stage.max_pixels",
    "Set stage.max_pixels, too",
)
_STAGE_PIXELS = When(
    "below the limit of the model",
    _within_model,
    "model.max_pixels",
    "Set model.max_pixels, too",
)
_EPOCHS = When(
    "without stage.args.max_steps, which decides alone where it is set",
    _by_epochs,
    "stage.args.max_steps",
    "Take stage.args.max_steps=-1",
)
_SAVE_STEPS = When(
    "with stage.args.save_strategy=steps",
    lambda use: _args(use, "save_strategy", "steps") == "steps",
    "stage.args.save_strategy",
    "Take stage.args.save_strategy=steps",
)
_WEIGHTS = When(
    "where this machine loads the weights",
    lambda use: not _answers(use, Engine.server),
    "generate.engine",
    "Say it to the server (`sgg serve`)",
)
_TRANSFORMERS = When(
    "by transformers",
    lambda use: not _answers(use, Engine.vllm, Engine.server),
    "generate.engine",
    "Take generate=hf",
)
_VLLM = When(
    "with generate=vllm",
    lambda use: use.config.generate.engine is Engine.vllm,
    "generate.engine",
    "Take generate=vllm",
)
_SERVER = When(
    "with generate=server",
    lambda use: use.config.generate.engine is Engine.server,
    "generate.engine",
    "Take generate=server",
)
SAMPLED = When(
    "where answers are drawn, not greedy",
    lambda use: use.config.generate.temperature > 0,
    "generate.temperature",
    "Take generate.temperature=1",
)
_THOUGHT = When(
    "where the prompt asks for a thought",
    lambda use: use.config.prompt.reasoning,
    "prompt.reasoning",
    "Take prompt.reasoning=true",
)
_FREE_NAMES = When(
    "where any name may be used, not those of a vocabulary",
    _free_names,
    "data.vocabulary",
    "Take prompt=open structure.names=prompt",
)
_VLLM_ROLLOUTS = When(
    "where vLLM gives GRPO's answers: hardware.rollout.mode=colocate or server",
    lambda use: _rollout(use, RolloutMode.colocate, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take one of these modes with stage=grpo",
)
_VLLM_LENGTH = When(
    "where vLLM answers: stage=eval with generate=vllm, or stage=grpo with hardware.rollout.mode=colocate or "
    "server",
    lambda use: (
        _rollout(use, RolloutMode.colocate, RolloutMode.server) or _answers(use, Engine.vllm)
    ),
    "stage.name hardware.rollout.mode generate.engine",
    "Take one of these",
)
_ROLLOUT_SERVER = When(
    "with stage=grpo and hardware.rollout.mode=server",
    lambda use: _rollout(use, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take hardware.rollout.mode=server with stage=grpo",
)
_TRAINS = When(
    _TRAINING.words, _TRAINING.holds, "stage.name", _TRAINING.instead, changes_results=False
)
_MICRO_BATCH, _MICRO_BATCH_SFT, _MICRO_BATCH_GRPO = (
    When(
        f"with {stages} where micro batches are fitted, without stage.micro_batch",
        partial(_fits_micro_batch, kinds=kinds),
        "stage.name stage.micro_batch",
        "Train without stage.micro_batch",
        changes_results=False,
    )
    for stages, kinds in (
        ("stage=sft or stage=grpo", (SftConfig, GrpoConfig)),
        ("stage=sft", (SftConfig,)),
        ("stage=grpo", (GrpoConfig,)),
    )
)
_ON_GPU = When(
    "on GPUs",
    lambda use: use.config.hardware.gpu,
    "hardware.gpu",
    "Take hardware.gpu=true",
    changes_results=False,
)
_SLURM = When(
    "with hydra/launcher=slurm",
    lambda use: use.launcher == "slurm",
    instead="Take hydra/launcher=slurm",
    changes_results=False,
)
_WANDB = When(
    "with tracker=wandb",
    lambda use: use.config.tracker.kind is TrackerKind.wandb,
    "tracker.kind",
    "Take tracker=wandb",
    changes_results=False,
)
_SAMPLES = When(_EVAL.words, _EVAL.holds, "stage.name", _EVAL.instead, changes_results=False)
_SWEEP = When(
    "by a sweep",
    lambda use: use.is_sweep,
    instead="Take -m with several values, or paths.run_dir for one run",
    changes_results=False,
)
_LAUNCHED = When(
    "by a sweep or a job",
    lambda use: use.is_sweep,
    instead="Take -m, or hydra/launcher=slurm",
)
_MEMORY = When("by nothing yet", lambda use: False, changes_results=False)
_CHOICES = When("by nothing", lambda use: False, instead="Choose options by GROUP=OPTION")
_RUN_DIR = When("by nothing", lambda use: False, instead="Set paths.run_dir or paths.root")
_SWEEP_DIR = When("by nothing", lambda use: False, instead="Set paths.sweep_dir or paths.root")

READ: dict[str, When | None] = {
    "model": None,
    "model.path": None,
    "model.family": None,
    "model.revision": _HUB,
    "model.activations_per_token": _MICRO_BATCH,
    "model.init": None,
    "model.min_pixels": None,
    "model.max_pixels": _MODEL_PIXELS,
    "model.dtype": _WEIGHTS,
    "model.attention": _TRANSFORMERS,
    "model.freeze_vision": _TRAINING,
    "model.freeze_merger": _TRAINING,
    "model.freeze_language": _TRAINING,
    "model.lora.enable": None,
    "model.lora.r": _LORA,
    "model.lora.alpha": _LORA,
    "model.lora.dropout": _LORA,
    "model.lora.targets": _LORA,
    "data": None,
    "data.source": None,
    "data.root": _ANNOTATED,
    "data.images": _FILES,
    "data.pictures": _ANNOTATED,
    "data.train.path": _PATH,
    "data.train.name": _NAME,
    "data.train.offset": None,
    "data.train.limit": None,
    "data.train.seed": _SHAPES,
    "data.eval.path": _PATH,
    "data.eval.name": _NAME,
    "data.eval.offset": None,
    "data.eval.limit": None,
    "data.eval.seed": _SHAPES,
    "data.vocabulary": None,
    "data.box_format": _BOX_FORMAT,
    "data.clip_boxes": None,
    "data.duplicates": _DUPLICATES,
    "data.drop_unknown": None,
    "data.min_relations": None,
    "data.check_images": _FILES,
    "data.workers": None,
    "data.shapes": _SHAPES,
    "data.shapes.*": None,
    "prompt": None,
    "prompt.template": None,
    "prompt.reasoning": None,
    "prompt.system": None,
    # what a stage does not have, Hydra refuses
    "stage": None,
    "stage.name": None,
    "stage.max_pixels": _STAGE_PIXELS,
    "stage.micro_batch": None,
    "stage.optimizer.kind": None,
    "stage.optimizer.muon_lr": _MUON,
    "stage.keep_checkpoints": None,
    "stage.args": _TRAINING,  # an open dictionary: Hydra puts it into any stage
    "stage.args.num_train_epochs": _EPOCHS,
    "stage.args.save_steps": _SAVE_STEPS,
    "stage.args.*": None,  # `stage_args` looks at them
    "stage.global_batch": None,
    "stage.shuffle_objects": None,
    "stage.prompts_per_step": None,
    "stage.part": None,
    "stage.shuffle_images": None,
    "reward": _GRPO,
    "reward.terms.*": None,
    "reward.similarity": None,
    "reward.unknown": None,  # `validate_reward` looks at it, and at the next
    "reward.embedding": None,
    "reward.match.*": None,
    "reward.workers": None,
    "generate": _GENERATE,
    "generate.engine": None,
    "generate.batch_size": None,
    "generate.memory_share": _VLLM,
    "generate.completions": None,
    "generate.max_new_tokens": None,
    "generate.temperature": None,
    "generate.top_p": SAMPLED,
    "generate.top_k": SAMPLED,
    "generate.servers": _SERVER,
    "generate.server_model": _SERVER,
    "generate.key_variable": _SERVER,
    "generate.request_limit_s": _SERVER,
    # where nothing holds answers to them, `validate_structure` refuses
    "structure": None,
    "structure.max_objects": None,
    "structure.max_relationships": None,
    "structure.max_thought": _THOUGHT,
    "structure.max_words": _FREE_NAMES,
    "structure.max_letters": _FREE_NAMES,
    "structure.names": None,
    "protocol": _EVAL,
    "protocol.*": None,
    "hardware": None,
    "hardware.nodes": None,
    "hardware.processes_per_node": None,
    "hardware.gpu": None,
    "hardware.gpu_memory_gb": _MEMORY,
    "hardware.precision": None,
    "hardware.gradient_checkpointing": _TRAINS,
    "hardware.micro_batch_sft": _MICRO_BATCH_SFT,
    "hardware.micro_batch_grpo": _MICRO_BATCH_GRPO,
    "hardware.threads": None,
    "hardware.loader_workers": _TRAINS,
    "hardware.tf32": _ON_GPU,
    "hardware.environment.*": None,
    "hardware.grace_s": None,
    "hardware.rollout.mode": _GRPO,
    "hardware.rollout.gpus_per_node": _ROLLOUT_SERVER,
    "hardware.rollout.nodes": _ROLLOUT_SERVER,
    "hardware.rollout.tensor_parallel": _VLLM_ROLLOUTS,
    "hardware.rollout.memory_share": _VLLM_ROLLOUTS,
    "hardware.rollout.max_length": _VLLM_LENGTH,
    "hardware.rollout.start_limit_s": _ROLLOUT_SERVER,
    "hardware.rollout.wait_limit_s": _ROLLOUT_SERVER,
    "hardware.rollout.restarts": _ROLLOUT_SERVER,
    "hardware.rollout.max_logp_difference": _VLLM_ROLLOUTS,
    "hardware.slurm": _SLURM,
    "hardware.slurm.*": None,
    "deepspeed": _TRAINING,
    "deepspeed.*": None,
    "fsdp": _TRAINING,
    "fsdp.*": None,
    "tracker": None,
    "tracker.kind": None,
    "tracker.project": _WANDB,
    "tracker.entity": _WANDB,
    "tracker.group": _WANDB,
    "tracker.samples": _SAMPLES,
    "paths": None,
    "paths.root": None,
    "paths.run_dir": None,
    "paths.sweep_dir": _SWEEP,
    "paths.cache": None,
    "pipeline": None,
    "pipeline.steps.*": None,
    "pipeline.table": None,
    "seed": None,
    "resume": None,
    "dry_run": None,
    "choices": _CHOICES,
    "choices.*": None,
    "experiment": None,
    "debug": None,
    "hydra.launcher": _LAUNCHED,
    "hydra.sweeper": _SWEEP,
    "hydra.run": _RUN_DIR,
    "hydra.sweep": _SWEEP_DIR,
}
"""When a key is read, by the key as it is set; None for always, once what stands above it is read."""

_CLOSED = When(
    "with prompt.template=closed",
    lambda use: use.config.prompt.template in (Template.closed, Template.prompt_close),
    "prompt.template",
    "Take prompt=closed",
)
_BY_HF = When(
    "as hf alone, for this tool answers by transformers",
    lambda use: use.config.generate.engine is Engine.hf,
    "generate.engine",
    "Run stage=eval for other engines",
)
_BY_VLLM = When(
    "as vllm alone, for this tool is a vLLM server",
    lambda use: use.config.generate.engine is Engine.vllm,
    "generate.engine",
)
_READING: dict[str, When | None] = {
    "model.path": None,
    "model.family": None,
    "model.min_pixels": None,
    "model.max_pixels": _MODEL_PIXELS,
    "prompt": None,
    "data": None,
    "stage.max_pixels": _STAGE_PIXELS,
    "paths.cache": None,
    "experiment": None,
    "debug": None,
}
"""What says how answers are read, and against which gold."""

TOOLS: dict[str, dict[str, When | None]] = {
    "prepare": {"data": None, "paths.cache": None, "experiment": None, "debug": None},
    "score": _READING | {"stage.part": None, "protocol": None},
    "reward": _READING | {"reward": None},
    "predict": {
        "model.family": None,
        "model.revision": _HUB,
        "model.min_pixels": None,
        "model.max_pixels": _MODEL_PIXELS,
        "model.dtype": None,
        "model.attention": None,
        "data.vocabulary": _CLOSED,
        "prompt": None,
        "stage.max_pixels": _STAGE_PIXELS,
        "generate.engine": _BY_HF,
        "generate.max_new_tokens": None,
        "generate.temperature": None,
        "generate.top_p": SAMPLED,
        "generate.top_k": SAMPLED,
        "hardware.gpu": None,
        "hardware.precision": None,
        "hardware.threads": None,
        "seed": None,
        "experiment": None,
    },
    "serve": {
        "model.path": None,
        "model.family": None,
        "model.revision": _HUB,
        "model.init": None,
        "model.min_pixels": None,
        "model.max_pixels": _MODEL_PIXELS,
        "model.dtype": None,
        "stage.max_pixels": _STAGE_PIXELS,
        "generate.engine": _BY_VLLM,
        "generate.batch_size": None,
        "generate.memory_share": None,
        "hardware.gpu": None,
        "hardware.precision": None,
        "hardware.environment": None,
        "hardware.rollout.max_length": None,
        "hardware.rollout.tensor_parallel": None,
        "seed": None,
        "experiment": None,
    },
}
"""What each tool reads, as in `READ`; a key below one that is named is read where `READ` says so, too."""

WIDE_TOOLS = ("prepare",)
"""Tools that are given the words of a run, and of which nobody expects that they read all of them."""
