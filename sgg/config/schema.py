"""The schema of `conf/`: a class for each folder of the tree, in the module of its name.

Values live in the YAML files; types, units and meanings in these modules. None of them imports torch or
numpy: `sgg --cfg job` passes through here.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from sgg.config.data import DataConfig
from sgg.config.generate import GenerateConfig
from sgg.config.grammar import GrammarConfig
from sgg.config.hardware import HardwareConfig
from sgg.config.model import ModelConfig
from sgg.config.paths import PathsConfig
from sgg.config.pipeline import PipelineConfig
from sgg.config.prompt import PromptConfig
from sgg.config.protocol import ProtocolConfig
from sgg.config.reward import RewardConfig
from sgg.config.stage import StageConfig
from sgg.config.tracker import TrackerConfig


@dataclass
class Config:
    """Everything about a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    stage: StageConfig = MISSING
    reward: RewardConfig = field(default_factory=RewardConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    grammar: GrammarConfig | None = None
    """The bounds of completions that vLLM holds to the graph's form; null to let the model write freely."""
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    """How completions are scored; fixed by name, so that figures may be compared."""
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    deepspeed: dict[str, Any] | None = None
    """DeepSpeed's own config; null for plain data parallelism."""
    fsdp: dict[str, Any] | None = None
    """accelerate's FSDP settings, as transformers' `fsdp_config` takes them; null for none."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    pipeline: PipelineConfig | None = None
    seed: int = 0
    """Of weights, data order, sampling and drawn scenes' images."""
    dry_run: bool = False
    """Print the processes, GPUs and (with hydra/launcher=slurm) the job, and start nothing."""
    choices: dict[str, str] = field(default_factory=dict)
    """Which option of each group made this config; filled in when it is frozen."""
