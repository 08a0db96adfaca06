"""Conditions under which keys of the config are read, with words for them: what `read_when` is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from operator import ge, le
from pathlib import Path

from sgg.config.data import BOX_FORMAT_SOURCES, Pictures, Source
from sgg.config.generate import Engine
from sgg.config.hardware import RolloutMode
from sgg.config.prompt import Template
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, OptimizerKind, SftConfig, TrainStageConfig
from sgg.config.tracker import TrackerKind


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


def _chosen(word: str, holds: Callable[[Use], bool], here: str = "", further: str = "") -> When:
    """Read with an option that this word chooses; `further` follows the advice to take it."""
    return When(f"with {word}", holds, here, f"Take {word}{further}")


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


def _pixels(use: Use) -> tuple[int, int]:
    """The model's limit, and the stage's, which is the model's where it has none."""
    limit = use.config.model.max_pixels
    return limit, use.config.stage.max_pixels or limit


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


GRPO = _chosen("stage=grpo", lambda use: _stage(use, GrpoConfig), "stage.name")
EVAL = _chosen("stage=eval", lambda use: _stage(use, EvalConfig), "stage.name")
GENERATE = replace(
    EVAL,
    instead="Take stage=eval (GRPO's own answers follow stage.args.temperature, top_p, "
    "max_completion_length …)",
)
TRAINING = When(
    "with stage=sft or stage=grpo",
    lambda use: _stage(use, TrainStageConfig),
    "stage.name",
    "Take one of these stages",
)
LORA = _chosen(
    "model.lora.enable=true", lambda use: use.config.model.lora.enable, "model.lora.enable"
)
HUB = When("for a hub id", _on_hub, "model.path", "Name the model by its hub id")
MUON = _chosen(
    "stage.optimizer.kind=muon_adamw",
    _muon,
    "stage.optimizer.kind",
    "; TRL's optimiser learns at stage.args.learning_rate",
)
ANNOTATED = When(
    "with annotated data, such as data=jsonl or data=coco",
    lambda use: _source(use, Source.shapes),
    "data.source",
    "Choose the data set by data=…",
)
FILES = When(
    "where pictures are files, not drawn by data=shapes or data.pictures=painted",
    _files,
    "data.source data.pictures",
    "Choose the data set by data=…, or take data.pictures=files",
)
SHAPES = _chosen("data=shapes", lambda use: not _source(use, Source.shapes), "data.source")
PATH = When(
    "where a split is a file or hub id",
    lambda use: _source(use, Source.shapes, Source.vrd),
    "data.source",
    "Choose the data set by data=…, such as data=jsonl; data=vrd finds its files by the split's name",
)
NAME = When(
    "where the source names its splits",
    lambda use: _source(use, Source.shapes, Source.gqa, Source.jsonl),
    "data.source",
    "Name the file by .path, or choose the data set by data=…",
)
BOX_FORMAT = When(
    "where the source does not fix it (data=jsonl, coco, vg150, psg)",
    lambda use: use.config.data.source in BOX_FORMAT_SOURCES,
    "data.source",
    "Choose another data set by data=…, for the boxes of this one have one form",
)
DUPLICATES = When(
    "where protocol.gold_duplicates does not say it",
    lambda use: _stage(use, TrainStageConfig) or use.config.protocol.gold_duplicates is None,
    "protocol.gold_duplicates",
    "Choose another protocol",
)
MODEL_PIXELS = When(
    "up to the limit of the stage",
    lambda use: le(*_pixels(use)),
    "stage.max_pixels",
    "Set stage.max_pixels, too",
)
STAGE_PIXELS = When(
    "below the limit of the model",
    lambda use: ge(*_pixels(use)),
    "model.max_pixels",
    "Set model.max_pixels, too",
)
EPOCHS = When(
    "without stage.args.max_steps, which decides alone where it is set",
    _by_epochs,
    "stage.args.max_steps",
    "Take stage.args.max_steps=-1",
)
SAVE_STEPS = _chosen(
    "stage.args.save_strategy=steps",
    lambda use: _args(use, "save_strategy", "steps") == "steps",
    "stage.args.save_strategy",
)
WEIGHTS = When(
    "where this machine loads the weights",
    lambda use: not _answers(use, Engine.server),
    "generate.engine",
    "Say it to the server (`sgg serve`)",
)
TRANSFORMERS = When(
    "by transformers",
    lambda use: not _answers(use, Engine.vllm, Engine.server),
    "generate.engine",
    "Take generate=hf",
)
VLLM = _chosen(
    "generate=vllm", lambda use: use.config.generate.engine is Engine.vllm, "generate.engine"
)
SERVER = _chosen(
    "generate=server", lambda use: use.config.generate.engine is Engine.server, "generate.engine"
)
SAMPLED = When(
    "where answers are drawn, not greedy",
    lambda use: use.config.generate.temperature > 0,
    "generate.temperature",
    "Take generate.temperature=1",
)
THOUGHT = When(
    "where the prompt asks for a thought",
    lambda use: use.config.prompt.reasoning,
    "prompt.reasoning",
    "Take prompt.reasoning=true",
)
FREE_NAMES = When(
    "where any name may be used, not those of a vocabulary",
    _free_names,
    "data.vocabulary",
    "Take prompt=open structure.names=prompt",
)
VLLM_ROLLOUTS = When(
    "where vLLM gives GRPO's answers: hardware.rollout.mode=colocate or server",
    lambda use: _rollout(use, RolloutMode.colocate, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take one of these modes with stage=grpo",
)
VLLM_LENGTH = When(
    "where vLLM answers: stage=eval with generate=vllm, or stage=grpo with hardware.rollout.mode=colocate or "
    "server",
    lambda use: (
        _rollout(use, RolloutMode.colocate, RolloutMode.server) or _answers(use, Engine.vllm)
    ),
    "stage.name hardware.rollout.mode generate.engine",
    "Take one of these",
)
ROLLOUT_SERVER = When(
    "with stage=grpo and hardware.rollout.mode=server",
    lambda use: _rollout(use, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take hardware.rollout.mode=server with stage=grpo",
)
TRAINS = replace(TRAINING, changes_results=False)
MICRO_BATCH, MICRO_BATCH_SFT, MICRO_BATCH_GRPO = (
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
ON_GPU = When(
    "on GPUs",
    lambda use: use.config.hardware.gpu,
    "hardware.gpu",
    "Take hardware.gpu=true",
    changes_results=False,
)
SLURM = replace(
    _chosen("hydra/launcher=slurm", lambda use: use.launcher == "slurm"), changes_results=False
)
WANDB = replace(
    _chosen(
        "tracker=wandb", lambda use: use.config.tracker.kind is TrackerKind.wandb, "tracker.kind"
    ),
    changes_results=False,
)
SAMPLES = replace(EVAL, changes_results=False)
SWEEP = When(
    "by a sweep",
    lambda use: use.is_sweep,
    instead="Take -m with several values, or paths.run_dir for one run",
    changes_results=False,
)
LAUNCHED = When(
    "by a sweep or a job",
    lambda use: use.is_sweep,
    instead="Take -m, or hydra/launcher=slurm",
)
MEMORY = When("by nothing yet", lambda use: False, changes_results=False)
CHOICES = When("by nothing", lambda use: False, instead="Choose options by GROUP=OPTION")
RUN_DIR = When("by nothing", lambda use: False, instead="Set paths.run_dir or paths.root")
SWEEP_DIR = When("by nothing", lambda use: False, instead="Set paths.sweep_dir or paths.root")
CLOSED = When(
    "with prompt.template=closed",
    lambda use: use.config.prompt.template in (Template.closed, Template.prompt_close),
    "prompt.template",
    "Take prompt=closed",
)
BY_HF = When(
    "as hf alone, for this tool answers by transformers",
    lambda use: use.config.generate.engine is Engine.hf,
    "generate.engine",
    "Run stage=eval for other engines",
)
BY_VLLM = When(
    "as vllm alone, for this tool is a vLLM server",
    lambda use: use.config.generate.engine is Engine.vllm,
    "generate.engine",
)
