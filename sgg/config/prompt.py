"""`prompt`: what the model is asked."""

from dataclasses import dataclass
from enum import Enum


class Template(Enum):
    """Where the user's sentence comes from."""

    open = "open"
    """Any class name may be used."""
    closed = "closed"
    """The vocabulary's class names and predicates are listed and binding."""
    brief = "brief"
    """Four words, for tiny models that learn the task by SFT only."""
    prompt_open = "prompt_open"
    """The data set's own column of that name, as published checkpoints were trained with."""
    prompt_close = "prompt_close"
    """The data set's own column of that name."""

    @property
    def is_column(self) -> bool:
        """Whether the text is read from the data instead of written by `sgg.text.prompt`."""
        return self in (Template.prompt_open, Template.prompt_close)


@dataclass
class PromptConfig:
    """What the model is asked. SFT, GRPO and evaluation share it."""

    template: Template = Template.open
    reasoning: bool = False
    """Ask for <think> and <answer> tags, and write SFT targets into answer tags."""
    system: str | None = None
    """System message; null for the one that fits `reasoning`, empty for none."""
