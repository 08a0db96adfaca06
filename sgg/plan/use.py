"""What is about to read a config, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sgg.config.generate import Engine
from sgg.config.hardware import RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, OptimizerKind, TrainStageConfig

if TYPE_CHECKING:
    from sgg.data.sources.source import DataSource


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

    text: str
    """After "is read"."""
    holds: Callable[[Use], bool]
    here: str = ""
    """Keys whose values say why it does not hold."""
    instead: str = ""
    """A sentence: what makes it read."""
    changes_results: bool = True
    """Whether data, training, completions or scores depend on it where it is read; else it only changes a
    message."""


def chosen(word: str, holds: Callable[[Use], bool], here: str = "", further: str = "") -> When:
    """Read with an option that this override chooses; `further` follows the advice to take it."""
    return When(f"with {word}", holds, here, f"Take {word}{further}")


def in_stage(use: Use, *kinds: type) -> bool:
    """Whether the run's stage is of one of these classes."""
    return isinstance(use.config.stage, kinds)


def rollout_is(use: Use, *modes: RolloutMode) -> bool:
    """Whether GRPO gets its completions in one of these modes."""
    return in_stage(use, GrpoConfig) and use.config.hardware.rollout.mode in modes


def source_of(use: Use) -> DataSource:
    """What is known of the data set's kind."""
    from sgg.data.sources.table import SOURCES  # which loads numpy

    return SOURCES[use.config.data.source]


def is_annotated(use: Use) -> bool:
    """Whether somebody annotated the images; else they are drawn by us."""
    return not source_of(use).is_drawn


def generated_by(use: Use, *engines: Engine) -> bool:
    """Whether an evaluation's completions come from one of these engines."""
    return in_stage(use, EvalConfig) and use.config.generate.engine in engines


def on_hub(use: Use) -> bool:
    """Whether the model's path can only be a hub id."""
    path = use.config.model.path
    return path.count("/") == 1 and not Path(path).expanduser().exists()


def fits_micro_batch(use: Use, kinds: tuple[type, ...]) -> bool:
    """Whether the micro batch of such a stage follows from the profile."""
    stage = use.config.stage
    return (
        isinstance(stage, TrainStageConfig) and in_stage(use, *kinds) and stage.micro_batch is None
    )


def pixel_limits(use: Use) -> tuple[int, int]:
    """The model's limit, and the stage's, which is the model's where it has none."""
    limit = use.config.model.max_pixels
    return limit, use.config.stage.max_pixels or limit


def by_muon(use: Use) -> bool:
    """Whether the tiny models' optimiser trains."""
    stage = use.config.stage
    return isinstance(stage, TrainStageConfig) and stage.optimizer.kind is OptimizerKind.muon_adamw


def arg_of(use: Use, name: str, default: object) -> object:
    """A field of TRL's arguments, as the stage sets it."""
    stage = use.config.stage
    return stage.args.get(name, default) if isinstance(stage, TrainStageConfig) else default


def by_epochs(use: Use) -> bool:
    """Whether the length of training is a number of epochs."""
    steps = arg_of(use, "max_steps", -1)
    return not isinstance(steps, int) or steps <= 0


def free_names(use: Use) -> bool:
    """Whether a grammar holds completions, and any name may occur in them."""
    from sgg.models.spec import completion_grammar  # which loads numpy

    held = completion_grammar(use.config) if use.config.grammar is not None else None
    return held is not None and held.vocabulary is None
