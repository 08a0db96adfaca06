"""A tool's own words among those of a config."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from sgg.errors import SggError

_OF_A_START = ("pipeline", "resume", "dry_run", "choices")
"""Keys that say how runs are started."""


def split_words(words: Sequence[str], own: Container[str]) -> tuple[dict[str, str], list[str]]:
    """(values of the keys that are the tool's, the other words as they are)."""
    parts = [word.partition("=") for word in words]
    ours = {key: value for key, _, value in parts if key in own}
    return ours, [word for word, part in zip(words, parts, strict=True) if part[0] not in own]


def key_of(word: str) -> str:
    """The key that an override sets."""
    return word.lstrip("+~").partition("=")[0]


def refuse_starts(words: Iterable[str], further: Sequence[str] = ()) -> None:
    """Raise SggError for a word that only a run would heed, and for those of `further` keys."""
    for word in words:
        first = key_of(word).partition(".")[0]
        if first in (*_OF_A_START, *further):
            raise SggError(
                f"{word} would be ignored: this tool starts no run. Leave {first}=… out."
            )
