"""`tracker`: where curves go besides the run folder. Several at once: `tracker=[wandb,tensorboard]`."""

from dataclasses import dataclass
from enum import Enum


class TrackerKind(Enum):
    """Where curves can go besides the run folder; each is a switch of `TrackerConfig`."""

    wandb = "wandb"
    tensorboard = "tensorboard"
    trackio = "trackio"


@dataclass
class TrackerConfig:
    """Experiment tracking."""

    wandb: bool = False
    """Weights & Biases: online with a key, offline by itself without one."""
    tensorboard: bool = False
    """TensorBoard's event files in the run folder."""
    trackio: bool = False
    """trackio's data base in the run folder: a web page without account or network."""
    project: str = "sgg"
    """The tracker's project."""
    entity: str | None = None
    """wandb's team or user; null for the key's own."""
    group: str | None = None
    """What links SFT, GRPO and eval of one experiment; null for the folder of the pipeline or sweep point, or
    else the model and data choices."""
    upload_model: bool = False
    """wandb: upload the final model; otherwise it gets the path and a hash of each file."""
    samples: int = 8
    """Completions to look at, 0 for none: those drawn in the table of an evaluation, and those of one step in
    samples.jsonl."""
    samples_every: int = 0
    """SFT and GRPO: every how many steps the first `samples` images of the eval split are completed greedily,
    into samples.jsonl; 0 for never."""


def trackers(config: TrackerConfig) -> list[TrackerKind]:
    """Those that are switched on."""
    return [kind for kind in TrackerKind if getattr(config, kind.name)]
