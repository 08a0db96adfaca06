"""Conditions under which keys of the config are read, with text for them: what `read_when` is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import ge, le

from sgg.config.derived import evaluates_while_training, takes_fixed_samples
from sgg.config.generate import Engine
from sgg.config.hardware import RolloutMode
from sgg.config.prompt import Template
from sgg.config.stage import EvalConfig, GrpoConfig, SftConfig, TrainStageConfig
from sgg.plan.use import (
    When,
    arg_of,
    by_epochs,
    by_muon,
    chosen,
    fits_micro_batch,
    free_names,
    generated_by,
    in_stage,
    is_annotated,
    on_hub,
    pixel_limits,
    rollout_is,
    source_of,
)

GRPO = chosen("stage=grpo", lambda use: in_stage(use, GrpoConfig), "stage.name")
EVAL = chosen("stage=eval", lambda use: in_stage(use, EvalConfig), "stage.name")
GENERATE = replace(
    EVAL,
    instead="Take stage=eval (GRPO's own completions follow stage.args.temperature, top_p, "
    "max_completion_length …)",
)
EVALUATED = chosen(
    "stage.evaluate.every_steps",
    lambda use: evaluates_while_training(use.config),
    "stage.evaluate.every_steps",
)
EVALUATES = When(
    "with stage=eval or stage.evaluate.every_steps",
    lambda use: in_stage(use, EvalConfig) or evaluates_while_training(use.config),
    "stage.name stage.evaluate.every_steps",
    GENERATE.instead,
)
COMPLETES = When(
    "with stage=eval, stage.evaluate.every_steps or tracker.samples_every",
    lambda use: EVALUATES.holds(use) or takes_fixed_samples(use.config),
    "stage.name stage.evaluate.every_steps tracker.samples_every",
    GENERATE.instead,
)
PROTOCOL = replace(EVALUATES, instead="Take one of these")
TRAINING = When(
    "with stage=sft or stage=grpo",
    lambda use: in_stage(use, TrainStageConfig),
    "stage.name",
    "Take one of these stages",
)
LORA = chosen(
    "model.lora.enable=true", lambda use: use.config.model.lora.enable, "model.lora.enable"
)
HUB = When("for a hub id", on_hub, "model.path", "Name the model by its hub id")
MUON = chosen(
    "stage.optimizer.kind=muon_adamw",
    by_muon,
    "stage.optimizer.kind",
    "; TRL's optimiser learns at stage.args.learning_rate",
)
ANNOTATED = When(
    "with annotated data, such as data=jsonl or data=coco",
    is_annotated,
    "data.source",
    "Choose the data set by data=…",
)
FILES = When(
    "where images are files, not drawn by data=shapes or data.image_source=painted",
    lambda use: source_of(use).reads_images(use.config.data),
    "data.source data.image_source",
    "Choose the data set by data=…, or take data.image_source=files",
)
SHAPES = chosen("data=shapes", lambda use: not is_annotated(use), "data.source")
PATH = When(
    "where a split is a file or hub id",
    lambda use: source_of(use).reads_path,
    "data.source",
    "Choose the data set by data=…, such as data=jsonl; data=vrd finds its files by the split's name",
)
NAME = When(
    "where the source names its splits",
    lambda use: source_of(use).reads_name,
    "data.source",
    "Name the file by .path, or choose the data set by data=…",
)
BOX_FORMAT = When(
    "where the source does not fix it (data=jsonl, coco, vg150, psg)",
    lambda use: source_of(use).reads_box_format,
    "data.source",
    "Choose another data set by data=…, for the boxes of this one have one form",
)
DUPLICATES = When(
    "where protocol.gold_duplicates does not say it",
    lambda use: in_stage(use, TrainStageConfig) or use.config.protocol.gold_duplicates is None,
    "protocol.gold_duplicates",
    "Choose another protocol",
)
MODEL_PIXELS = When(
    "up to the limit of the stage",
    lambda use: le(*pixel_limits(use)),
    "stage.max_pixels",
    "Set stage.max_pixels, too",
)
STAGE_PIXELS = When(
    "below the limit of the model",
    lambda use: ge(*pixel_limits(use)),
    "model.max_pixels",
    "Set model.max_pixels, too",
)
EPOCHS = When(
    "without stage.args.max_steps, which decides alone where it is set",
    by_epochs,
    "stage.args.max_steps",
    "Take stage.args.max_steps=-1",
)
SAVE_STEPS = chosen(
    "stage.args.save_strategy=steps",
    lambda use: arg_of(use, "save_strategy", "steps") == "steps",
    "stage.args.save_strategy",
)
WEIGHTS = When(
    "where this machine loads the weights",
    lambda use: not generated_by(use, Engine.server),
    "generate.engine",
    "Say it to the server (`sgg serve`)",
)
TRANSFORMERS = When(
    "by transformers",
    lambda use: not generated_by(use, Engine.vllm, Engine.server),
    "generate.engine",
    "Take generate=hf",
)
VLLM = chosen(
    "generate=vllm", lambda use: use.config.generate.engine is Engine.vllm, "generate.engine"
)
SERVER = chosen(
    "generate=server", lambda use: use.config.generate.engine is Engine.server, "generate.engine"
)
SAMPLED = When(
    "where completions are drawn, not greedy",
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
    free_names,
    "data.vocabulary",
    "Take prompt=open grammar.names=prompt",
)
VLLM_ROLLOUTS = When(
    "where vLLM generates GRPO's completions: hardware.rollout.mode=colocate or server",
    lambda use: rollout_is(use, RolloutMode.colocate, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take one of these modes with stage=grpo",
)
VLLM_LENGTH = When(
    "where vLLM generates: stage=eval with generate=vllm, or stage=grpo with hardware.rollout.mode=colocate "
    "or server",
    lambda use: (
        rollout_is(use, RolloutMode.colocate, RolloutMode.server) or generated_by(use, Engine.vllm)
    ),
    "stage.name hardware.rollout.mode generate.engine",
    "Take one of these",
)
ROLLOUT_SERVER = When(
    "with stage=grpo and hardware.rollout.mode=server",
    lambda use: rollout_is(use, RolloutMode.server),
    "stage.name hardware.rollout.mode",
    "Take hardware.rollout.mode=server with stage=grpo",
)
TRAINS = replace(TRAINING, changes_results=False)
MICRO_BATCH, MICRO_BATCH_SFT, MICRO_BATCH_GRPO = (
    When(
        f"with {stages} where micro batches are fitted, without stage.micro_batch",
        partial(fits_micro_batch, kinds=kinds),
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
    chosen("hydra/launcher=slurm", lambda use: use.launcher == "slurm"), changes_results=False
)
NAMED = When(
    "with tracker=wandb or tracker=trackio",
    lambda use: use.config.tracker.wandb or use.config.tracker.trackio,
    "tracker.wandb tracker.trackio",
    "Take one of these",
    changes_results=False,
)
WANDB = replace(
    chosen("tracker=wandb", lambda use: use.config.tracker.wandb, "tracker.wandb"),
    changes_results=False,
)
SAMPLES = When(
    "with stage=eval, stage=grpo or tracker.samples_every",
    lambda use: not in_stage(use, SftConfig) or use.config.tracker.samples_every > 0,
    "stage.name tracker.samples_every",
    "Take one of these",
    changes_results=False,
)
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
MEMORY = When(
    "with stage=sft or stage=grpo on GPUs",
    lambda use: in_stage(use, TrainStageConfig) and use.config.hardware.gpu,
    "stage.name hardware.gpu",
    "Train on GPUs",
    changes_results=False,
)
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
    "as hf only, for this tool generates by transformers",
    lambda use: use.config.generate.engine is Engine.hf,
    "generate.engine",
    "Run stage=eval for other engines",
)
BY_VLLM = When(
    "as vllm only, for this tool is a vLLM server",
    lambda use: use.config.generate.engine is Engine.vllm,
    "generate.engine",
)
