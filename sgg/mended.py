"""The word that was meant, for one that Hydra cannot read; each is read back before it is shown."""

from __future__ import annotations

from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse

from sgg.cli import prepare_argv, quoted, unresolved


def read(text: str, rule: str = "override") -> Any:
    """What Hydra's grammar reads.

    Raises:
        HydraException: it cannot be read.

    """
    return _parser().parse_rule(text, rule)


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def mended(sign: str, key: str, value: str, is_list: bool, sweep: bool) -> str | None:
    """The word that Hydra reads as this key and this text, if there is one.

    Args:
        sign: `+`, `++`, `~` or nothing.
        is_list: the key holds a list.
        sweep: commas part values, each of which is quoted where it needs it.

    """
    clean = key.strip(" \t\n-.").lstrip("+~")
    ways = [value, _container(value)]
    if is_list and value.startswith("["):
        ways.append(_container(f"{value}]"))
    if sweep and "," in value:
        ways.append(",".join(element(part) for part in _parts(value)))
    ways.append(quoted(value if _resolvable(value) else unresolved(value)))
    words = (proved(f"{sign}{clean}={way}") for way in ways if way is not None)
    return next((word for word in words if word is not None), None)


def proved(word: str) -> str | None:
    """The word, if Hydra can read it."""
    try:
        read(prepare_argv([word])[0])
    except HydraException:
        return None
    return word


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
        return f"[{','.join(map(element, parts))}]"
    pairs = [part.partition(":") for part in parts]
    return f"{{{','.join(f'{name}:{element(v.strip())}' for name, _, v in pairs)}}}"


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
