"""`stage`: what a run does, SFT, GRPO or evaluation."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from sgg.config.data import SplitName


class StageName(Enum):
    """What a run does."""

    sft = "sft"
    grpo = "grpo"
    eval = "eval"


class OptimizerKind(Enum):
    """Who builds the optimiser."""

    trl = "trl"
    """TRL, by `stage.args.optim` (AdamW)."""
    muon_adamw = "muon_adamw"
    """Muon on matrices, AdamW on the rest: for tiny models on one process."""


@dataclass
class OptimizerConfig:
    """The optimiser, where it is not TRL's own."""

    kind: OptimizerKind = OptimizerKind.trl
    muon_lr: float = 0.01
    """Peak learning rate of the matrices; the rest learns at `stage.args.learning_rate`."""


class EvaluationEngine(Enum):
    """Who completes held-out images during a training."""

    hf = "hf"
    """transformers, in the training processes."""
    rollout = "rollout"
    """What generates GRPO's completions: vLLM, with `hardware.rollout.mode=colocate` or `server`."""


@dataclass
class EvaluateConfig:
    """Evaluation during a training by `protocol` and `generate`; at its start and its end, too."""

    every_steps: int = 0
    """Steps from one evaluation to the next; 0 for no evaluation."""
    images: int = 200
    """The first so many images of the eval split are evaluated, the same each time."""
    engine: EvaluationEngine | None = None
    """null for `rollout` where GRPO has one, else `hf`."""
    keep_best: str | None = None
    """Metric, such as R@50: the checkpoint at which it is best is kept, as `model.path=RUN_DIR/best`."""
    patience: int = 0
    """Training ends after so many evaluations without a better `keep_best`; 0 for never."""


class FastPath(Enum):
    """Whether rows of a micro batch that share a prompt are passed through the model as one."""

    auto = "auto"
    """Where model and batch allow it; the log says where they do not."""
    off = "off"
    """Never: plain passes, padding included."""
    require = "require"
    """Always: what cannot be shared is an error."""


class Groups(Enum):
    """What becomes of a group whose completions all earned the same, so that it has no advantage."""

    drop = "drop"
    """Left out of the update, where that changes neither loss nor gradient."""
    keep = "keep"
    """Passed through the model like the others."""


@dataclass
class StageConfig:
    """What every stage has."""

    name: StageName = MISSING
    max_pixels: int | None = None
    """Upper limit on `model.max_pixels` in this stage, pixels."""


@dataclass
class TrainStageConfig(StageConfig):
    """What the training stages share."""

    micro_batch: int | None = None
    """Samples in one forward pass of one process; null for the largest that the profile allows."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    fast_path: FastPath = FastPath.auto
    """Compute prompts and images once for all rows that share them, and no padding."""
    keep_checkpoints: int = 2
    """Newest complete checkpoints kept."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    args: dict[str, Any] = field(default_factory=dict)
    """Fields of TRL's own config class, by their own names."""


@dataclass
class SftConfig(TrainStageConfig):
    """Supervised fine-tuning on rendered gold."""

    name: StageName = StageName.sft
    global_batch: int = 128
    """Samples per optimiser step."""
    shuffle_objects: bool = False
    """Another order of objects in each target, by image and epoch."""


@dataclass
class GrpoConfig(TrainStageConfig):
    """Group-relative policy optimisation with graph rewards."""

    name: StageName = StageName.grpo
    prompts_per_step: int = 32
    """Different prompts per optimiser step; each gets `args.num_generations` completions."""
    groups: Groups = Groups.drop
    """Of completions that all earned the same."""


@dataclass
class EvalConfig(StageConfig):
    """Generate completions for the eval split and score them."""

    name: StageName = StageName.eval
    split: SplitName = SplitName.eval
    """Split for which completions are generated; `train` distinguishes memory from generalisation."""
    shuffle_images: bool = False
    """Control: give every prompt another example's image; a model that looks falls to chance."""


STAGES = {StageName.sft: SftConfig, StageName.grpo: GrpoConfig, StageName.eval: EvalConfig}
"""The config of each stage."""
