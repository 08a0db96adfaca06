"""Overrides that a run or a tool would not read, reported before it begins.

Input: a user's overrides, and what reads the config (`conditions.Use`; several of a pipeline or a sweep,
where a key is read if one of them reads it). Output: an error, or a line where no result depends on them.
Overrides that switch something off (null, 0, false, none) ask for nothing.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hydra.core.override_parser.types import Override

from sgg.config.overrides import read_overrides
from sgg.config.schema import Config
from sgg.config.tree import groups
from sgg.errors import SggError
from sgg.plan.read_when import READ, TOOLS, WIDE_TOOLS
from sgg.plan.use import Use, When

log = logging.getLogger("sgg")

_CHOSEN = {"generate": "generate.engine"}
"""Groups whose options are foremost the value of one key."""

_RESOURCES = ("hardware", "tracker", "paths")
"""What a tool may pass over: nothing that it prints or writes depends on it."""


_NOTHING: tuple[Any, ...] = (None, False, 0, "", "none", [], {})
"""Values that ask for nothing."""


@dataclass(frozen=True)
class _Said:
    """A key that an override sets."""

    word: str
    key: str
    """Of a group's option the group."""

    @property
    def is_group(self) -> bool:
        return self.key in groups()


def refuse_unread(overrides: Iterable[str], uses: Sequence[Use]) -> None:
    """Refuse overrides that none of these runs reads; log those on which no result depends.

    Raises:
        SggError: some would be ignored; the message names each key, when it is read, and the way out.

    """
    _judge(_keys(overrides), lambda said: _unread(said.key, uses), uses)


def refuse_unread_by(tool: str, overrides: Iterable[str], config: Config) -> None:
    """As `refuse_unread`, for a tool of that name.

    Raises:
        SggError: some would be ignored.

    """
    use = Use(config)
    said = (s for s in _keys(overrides) if not s.key.startswith("hydra"))
    _judge(said, lambda s: _unread_by(tool, s, use), [use])


def is_read(key: str, config: Config) -> bool:
    """Whether a run of this config reads a key."""
    return _why(key, Use(config)) is None


def _judge(keys: Iterable[_Said], why: Callable[[_Said], When | None], uses: Sequence[Use]) -> None:
    refused, told = [], dict[str, list[str]]()
    for said in keys:
        when = why(said)
        if when is None:
            continue
        if when.changes_results:
            refused.append(_refusal(said, when, uses))
        else:
            told.setdefault(when.text, []).append(said.key)
    if refused:
        raise SggError("\n".join(refused))
    for condition, names in told.items():
        is_one = len(names) == 1
        nothing = "changes nothing here: it is" if is_one else "change nothing here: they are"
        log.warning("%s %s read %s.", ", ".join(names), nothing, condition)


def _refusal(said: _Said, when: When, uses: Sequence[Use]) -> str:
    here = [
        f"{_shown_key(key)}={value}" for key in when.here.split() if (value := _here(key, uses))
    ]
    state = f", and here {', '.join(here)}" if here else ""
    leave = f"leave {said.key} out"
    way_out = f"{when.instead}, or {leave}." if when.instead else f"L{leave[1:]}."
    return f"{shlex.join([said.word])} would be ignored: {said.key} is read {when.text}{state}. {way_out}"


def _shown_key(key: str) -> str:
    return "stage" if key == "stage.name" else key


def _here(key: str, uses: Sequence[Use]) -> str:
    """The value of a key, or the different ones of several configs; empty where none has it."""
    found = dict.fromkeys(_value(use.config, key) for use in uses)
    return " or ".join(value for value in found if value)


def _value(node: Any, key: str) -> str:
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else getattr(node, name, None)
    if isinstance(node, Enum):
        return node.name
    return str(node).lower() if isinstance(node, bool) else "" if node is None else str(node)


def _keys(overrides: Iterable[str]) -> Iterator[_Said]:
    """What overrides set, each key once; those that ask for nothing are left out."""
    found: dict[str, _Said] = {}
    for override in read_overrides(list(dict.fromkeys(overrides)), sweep=True):
        shown = str(override.input_line).lstrip("+")
        for key, value in _leaves(override.key_or_group, _of(override)):
            if value not in _NOTHING:
                found.setdefault(key, _Said(shown, key))
    yield from found.values()


def _of(override: Override) -> Any:
    """The value of an override; None of one that deletes."""
    if override.is_delete():
        return None
    return True if override.is_sweep_override() else override.value()


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield key, value
        return
    for name, inner in value.items():
        yield from _leaves(f"{key}.{name}", inner)


def _above(key: str) -> list[str]:
    """What stands above a key, the outermost first, then itself."""
    parts = key.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _unread(key: str, uses: Sequence[Use]) -> When | None:
    """Why none of these reads a key; None if one does."""
    whys = [_why(key, use) for use in uses]
    return None if None in whys else whys[-1]


def _why(key: str, use: Use, above: str = "") -> When | None:
    """The outermost condition of a key that does not hold; None if it is read.

    Args:
        above: a part of the key whose own condition does not count, nor those above it.

    """
    for name in _above(key):
        when = READ.get(name)
        if when is not None and len(name) > len(above) and not when.holds(use):
            return when
    return None


def _unread_by(tool: str, said: _Said, use: Use) -> When | None:
    """Why a tool does not read what was said; None if it does."""
    reads = TOOLS[tool]
    key = _CHOSEN.get(said.key, said.key) if said.is_group else said.key
    covering = [name for name in _above(key) if name in reads]
    if covering:
        name = covering[-1]
        when = reads[name]
        if when is not None and not when.holds(use):
            return when
        return None if name == key else _why(key, use, above=name)
    below = [when for name, when in reads.items() if name.startswith(f"{key}.")]
    if said.is_group and below:
        return None if any(w is None or w.holds(use) for w in below) else below[0]
    is_told = tool in WIDE_TOOLS or key.split(".")[0] in _RESOURCES
    return When(f"by runs, not by `sgg {tool}`", lambda use: False, changes_results=not is_told)
