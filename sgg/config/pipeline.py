"""`pipeline`: runs in order, each from the former's output."""

from dataclasses import dataclass, field


@dataclass
class PipelineStep:
    """One run of a pipeline."""

    overrides: list[str] = field(default_factory=list)
    """On top of the command line's."""
    init_from: str | None = None
    """Step whose final model this one starts from, STEP/best for its best checkpoint; null for `model`'s."""


@dataclass
class PipelineConfig:
    """Runs in order, each from the former's output."""

    steps: dict[str, PipelineStep] = field(default_factory=dict)
    """By name, in order."""
    table: list[str] = field(default_factory=list)
    """Steps whose metrics make the final table."""
