"""Where prompts and completions lie in a packed row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """A prompt and the completions that share it; they follow it in the row, one behind another."""

    prompt: int
    """Tokens, at least one."""
    completions: tuple[int, ...] = ()
    """Tokens of each. None where nothing is shared: a lone completion is part of `prompt`."""

    @property
    def tokens(self) -> int:
        """Of prompt and completions."""
        return self.prompt + sum(self.completions)


@dataclass(frozen=True)
class Layout:
    """The groups of a packed row, in order; they do not see each other."""

    groups: tuple[Group, ...]

    @property
    def tokens(self) -> int:
        """Of the row."""
        return sum(group.tokens for group in self.groups)
