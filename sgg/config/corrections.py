"""The override that was meant, for one that Hydra cannot read; each is read back before it is shown."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse

from sgg.config.argv import prepare_argv, quoted, unresolved


def read(text: str, rule: str = "override") -> Any:
    """What Hydra's grammar reads.

    Raises:
        HydraException: it cannot be read.

    """
    return _parser().parse_rule(text, rule)


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def mended(sign: str, key: str, value: str, kind: Any, sweep: bool) -> str | None:
    """The override that Hydra reads as this key and this text, if there is one.

    Args:
        sign: `+`, `++`, `~` or nothing.
        kind: what the key holds; None or Any where anything may be meant.
        sweep: commas part values, each of which is quoted where it needs it.

    """
    clean = key.strip(" \t\n-.").lstrip("+~")
    ways = [value, _container(value)]
    if kind in (int, float, bool):
        ways.append(value.strip(" ,;"))
    if get_origin(kind) is list or (kind is Any and value[:1] == "["):
        ways += [_container(f"{value}]"), _container(f"[{value.strip().strip('()')}]")]
    if sweep and "," in value:
        ways.append(",".join(element(part) for part in _parts(value)))
    ways.append(quoted(value if _resolvable(value) else unresolved(value)))
    words = (proved(f"{sign}{clean}={way}", kind) for way in ways if way is not None)
    return next((word for word in words if word is not None), None)


def proved(word: str, kind: Any = None) -> str | None:
    """The override, if Hydra can read it, and as a value of this kind."""
    try:
        override = read(prepare_argv([word])[0])
    except HydraException:
        return None
    return word if override.is_sweep_override() or fits(override.value(), kind) else None


def fits(value: Any, kind: Any) -> bool:
    """Whether a key of this kind can hold a value that Hydra has read, as far as its type says."""
    if value is None or kind is None:
        return True
    if get_origin(kind) is list:
        return isinstance(value, list)
    if get_origin(kind) is dict or is_dataclass(kind):
        return isinstance(value, dict)
    numbers = {int: (int,), float: (int, float), bool: (int, bool)}
    if kind not in numbers:
        return True
    return isinstance(value, numbers[kind]) and (kind is bool or not isinstance(value, bool))


def element(text: str) -> str:
    """One part of a list or sweep, in quotes if it needs them."""
    try:
        if not read(f"x={text}").is_sweep_override():
            return text
    except HydraException:
        pass
    return _container(text) or quoted(text)


def _resolvable(text: str) -> bool:
    """Whether OmegaConf can read what `${` begins, if anything."""
    try:
        return "${" not in text or parse(text) is not None
    except GrammarParseError:
        return False


def _container(value: str) -> str | None:
    """A list or mapping with quotes around the parts that need them; None for any other value."""
    ends = {"[": "]", "{": "}"}
    text = value.strip()
    if len(text) < 2 or ends.get(text[0]) != text[-1]:
        return None
    parts = [part.strip() for part in _parts(text[1:-1])]
    if text[0] == "[":
        parts = [
            p
            for part in parts
            for p in (_QUOTED.findall(part) if _SEVERAL.fullmatch(part) else [part])
        ]
        return f"[{','.join(map(element, parts))}]"
    pairs = [part.partition(":") for part in parts]
    return f"{{{','.join(f'{_bare(name)}:{element(v.strip())}' for name, _, v in pairs)}}}"


def _bare(name: str) -> str:
    """A key of a mapping without the quotes that JSON wants and Hydra refuses."""
    name = name.strip()
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"" else name


_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_SEVERAL = re.compile(rf"(?:{_QUOTED.pattern})(?:\s+(?:{_QUOTED.pattern}))+")
"""Quoted texts with no comma between them."""


def _parts(text: str) -> list[str]:
    """Between the commas that stand outside quotes and brackets."""
    found, depth, mark, start = [], 0, "", 0
    for place, character in enumerate(text):
        if mark:
            mark = "" if character == mark else mark
        elif character in "'\"" and character in text[place + 1 :]:
            mark = character
        elif character == "," and depth <= 0:
            found.append(text[start:place])
            start = place + 1
        else:
            depth += (character in "[{(") - (character in "]})")
    return [*found, text[start:]]
