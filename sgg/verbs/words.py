"""A tool's own words among those of a config."""

from __future__ import annotations

from collections.abc import Container, Sequence


def split_words(words: Sequence[str], own: Container[str]) -> tuple[dict[str, str], list[str]]:
    """(values of the keys that are the tool's, the other words as they are)."""
    parts = [word.partition("=") for word in words]
    ours = {key: value for key, _, value in parts if key in own}
    return ours, [word for word, part in zip(words, parts, strict=True) if part[0] not in own]
