"""A tool's own arguments among the overrides of a config."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from sgg.config.argv import key_of
from sgg.errors import SggError, did_you_mean

_OF_A_START = ("pipeline", "dry_run", "choices")
"""Keys that say how runs are started."""


def split_arguments(
    arguments: Sequence[str], own: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """(values of the keys that are the tool's, the other arguments as they are).

    Raises:
        SggError: a key of the tool has no value, as where a shell's variable is not set, or is misspelt.

    """
    parts = [argument.partition("=") for argument in arguments]
    ours = {key: value for key, _, value in parts if key in own}
    for key, value in ours.items():
        if not value.strip():
            raise SggError(f"{key}=: no value. Write {key}=VALUE, or leave {key} out.")
    others = [
        argument for argument, part in zip(arguments, parts, strict=True) if part[0] not in own
    ]
    for argument in others:
        _refuse_misspelt(argument, own)
    return ours, others


def is_trusted(own: Mapping[str, str]) -> bool:
    """Whether trust=true is among a tool's arguments: the user accepts a folder that is not theirs.

    Raises:
        SggError: it has another value.

    """
    return is_true(own, "trust")


def is_true(own: Mapping[str, str], key: str) -> bool:
    """Whether a tool's argument is true; false where it is not given.

    Raises:
        SggError: it has another value.

    """
    value = own.get(key, "false")
    if value not in ("true", "false"):
        raise SggError(f"{key}={value}: allowed are true and false.")
    return value == "true"


def _refuse_misspelt(argument: str, own: Collection[str]) -> None:
    """Raise SggError for an argument that is no config's, but nearly one of the tool's."""
    key = key_of(argument)
    meant = did_you_mean(key, own)
    if not meant:
        return
    from sgg.config.overrides import kind_of
    from sgg.config.tree import groups

    if kind_of(key) is None and key not in groups():
        raise SggError(f"{argument}: no such key.{meant} Arguments of this tool: {', '.join(own)}.")


def refuse_starts(arguments: Iterable[str], further: Sequence[str] = ()) -> None:
    """Raise SggError for an override that only a run would read, and for those of `further` keys."""
    for argument in arguments:
        first = key_of(argument).partition(".")[0]
        if first in (*_OF_A_START, *further):
            raise SggError(
                f"{argument} would be ignored: this tool starts no run. Leave {first}=… out."
            )


def typed_path(path: Path) -> Path:
    """The path that a user means: `~` and a link that they typed are followed, links inside folders not."""
    path = path.expanduser()
    return path.resolve() if path.is_symlink() else path


def typed_folders(words: Sequence[str], tool: str, own: Collection[str]) -> list[Path]:
    """The folders that a user names, one or more.

    Raises:
        SggError: there is none, or a word is no folder but `key=value` that the tool does not take.

    """
    folders = [typed_path(Path(word)) for word in words]
    for word, folder in zip(words, folders, strict=True):
        if "=" in word and not folder.exists():
            raise SggError(f"{word} would be ignored: {tool} takes {', '.join(own)}.")
    if not folders:
        raise SggError(f"{tool} wants the folder of a run, a pipeline or a sweep.")
    return folders
