"""Overrides as typed -> Hydra's, or a message with the character at fault and the override to write.

Every override that is proposed has been read back: pasted into a shell, it gives the text that was meant.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin

from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import OverrideLexer
from hydra.grammar.gen.OverrideParser import OverrideParser

from sgg.config.argv import TOOLS, prepare_argv, quoted
from sgg.config.corrections import element, mended, proved, read
from sgg.config.literal import field_types
from sgg.config.reward import TermConfig
from sgg.config.schema import Config
from sgg.config.stage import STAGES, StageConfig
from sgg.config.tree import groups, options_of
from sgg.errors import SggError, did_you_mean

_MAY_BE_EMPTY = re.compile(r"prompt\.system|hardware\.environment\..*")
"""Keys for which no text means something."""

SEARCHES = "hydra/sweeper=optuna"
"""The override with which intervals are searched in."""


def read_overrides(words: Sequence[str], sweep: bool = False) -> list[Override]:
    """The overrides of a command line; `input_line` of each is the text for Hydra.

    A number or truth value for a key that holds text is taken as the text that was typed.

    Args:
        sweep: several values for a key are allowed (-m).

    Raises:
        SggError: some are none; the message names each character at fault and the override to write.

    """
    found, faults = [], []
    for word in words:
        [prepared] = prepare_argv([word])
        try:
            override: Override = read(_as_text(prepared))
        except HydraException:
            faults.append(_said(word, sweep))
            continue
        faults += _misread(word, override, sweep, SEARCHES in words)
        found.append(override)
    if faults:
        raise SggError("\n".join(faults))
    return found


def split_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the overrides, which may stand anywhere among them.

    Raises:
        SggError: a flag that Hydra does not have.

    """
    from hydra._internal.utils import get_args_parser

    known = get_args_parser()._option_string_actions
    flags: list[str] = []
    rest = list(words)
    overrides = []
    while rest:
        word = rest.pop(0)
        name, is_given, _ = word.partition("=")
        if not word.startswith("-"):
            overrides.append(word)
        elif name in known:
            flags.append(word)
            takes_one = known[name].nargs is None or (
                rest and rest[0] in (known[name].choices or ())
            )
            if rest and takes_one and not is_given:
                flags.append(rest.pop(0))
        elif is_given:
            overrides.append(word)  # reported as an override that begins with dashes
        else:
            key = name.lstrip("-")
            value = rest[0] if rest and not rest[0].startswith("-") else "VALUE"
            way_out = f" Keys are set without dashes: {key}={value}." if kind_of(key) else ""
            raise SggError(f"{word}: no such flag.{did_you_mean(word, known)}{way_out}")
    return flags, overrides


def kind_of(key: str) -> Any:
    """The type of a key's value, without the None that it may be; None for a key that is not known."""
    return _without_none(_kind(key))


def _kind(key: str) -> Any:
    kinds: list[Any] = [Config]
    names = key.split(".")
    for place, name in enumerate(names):
        kinds = [k for kind in kinds for k in _below(_without_none(kind), name)]
        if names[:place] == ["reward", "terms"]:
            kinds = [TermConfig]  # which the schema does not say; see `RewardConfig.terms`
    return kinds[0] if kinds else None


def _below(kind: Any, name: str) -> Iterator[Any]:
    """Types of what stands under this name; each stage may have its own."""
    if kind is StageConfig:
        for stage in STAGES.values():
            yield from _below(stage, name)
    elif kind is Any:
        yield Any
    elif get_origin(kind) is dict:
        yield get_args(kind)[1]
    elif isinstance(kind, type) and is_dataclass(kind):
        yield from (found for known, found in field_types(kind).items() if known == name)


def _without_none(kind: Any) -> Any:
    inner = get_args(kind)
    return next(k for k in inner if k is not NoneType) if NoneType in inner else kind


def _split(word: str) -> tuple[str, str, str]:
    """(`+`, `++`, `~` or nothing, key, value) of an override."""
    found = re.match(r"(\+\+?|~|)([^=]*)=?(.*)", word, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3]


def _as_text(word: str) -> str:
    """The override with quotes where a key holds text, and Hydra would read a number, true or false."""
    sign, key, value = _split(word)
    if kind_of(key) is not str or re.search(r"['\"\[\]{}()\\$]", value):
        return word
    parts = (quoted(p.strip()) if _is_no_text(p) else p for p in value.split(","))
    return f"{sign}{key}={','.join(parts)}"


def _is_no_text(value: str) -> bool:
    try:
        return isinstance(read(f"x={value}").value(), (bool, int, float))
    except HydraException:
        return False


# what is wrong with an override


class Reason(Enum):
    """Why a character cannot stand where it stands."""

    quotes = "may stand in a value only in quotes"
    open_quote = "opens a quotation that is not closed"
    after_quote = "follows a closing quote"
    open_bracket = "is not closed"
    call = "makes Hydra take it for a function"
    key = "cannot stand in a key"
    end = "has nothing after it"


def _said(word: str, sweep: bool) -> str:
    """The message for an override that Hydra cannot read."""
    sign, key, value = _split(word)
    if "=" not in word or not key.strip():
        known = kind_of(word) is not None
        tools = f"{did_you_mean(word, TOOLS)} Tools are {', '.join(TOOLS)}."
        meant = f" Write {word}=VALUE." if known else tools
        form = "Write key=value as one argument, without spaces around the =."
        return f"{word}: not an override. {form}{meant}"
    place, reason = _fault(word)
    at = f"{_name(word[place])} at character {place + 1}"
    lines = [f"{word}: not an override: {at} {reason.value}."]
    if "\n" not in word:
        lines += [f"  {word}", f"  {' ' * _columns(word[:place])}^"]
    proposal = mended(sign, key, value, kind_of(key.strip()), sweep)
    if proposal is not None:
        lines.append(f"Write: {shlex.quote(proposal)}")
    return "\n".join(lines)


def _name(character: str) -> str:
    names = {"\n": "a line break", " ": "a space", "\t": "a tab"}
    return names.get(character, character)


def _columns(text: str) -> int:
    """Width in a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class _First(ErrorListener):  # type: ignore[misc]  # antlr4 has no types
    """Notes where the first character stands that cannot be read."""

    place: int | None = None

    def syntaxError(  # noqa: N802
        self, recognizer: Any, symbol: Any, line: Any, column: Any, msg: Any, e: Any
    ) -> None:
        if self.place is None and symbol is not None:
            text = "" if symbol.type == symbol.EOF else symbol.text
            self.place = symbol.start + (len(text) - len(text.lstrip()) if text.strip() else 0)
        elif self.place is None:
            self.place = e.startIndex


def _fault(word: str) -> tuple[int, Reason]:
    """Index of the character at fault, and why."""
    listener, start = _First(), word.index("=") + 1
    lexer = OverrideLexer(InputStream(word))
    parser = OverrideParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(listener)
    parser.override()  # type: ignore[no-untyped-call]
    place = listener.place
    if place is None:  # read, but not understood
        return word.find("(", start), Reason.call
    if place < start - 1:
        return place, Reason.key
    if place >= len(word):
        opened = max(word.rfind(mark, start) for mark in "[{(")
        return (opened, Reason.open_bracket) if opened >= 0 else (len(word) - 1, Reason.end)
    if word[place] in "'\"" and place == start:
        return place, Reason.open_quote
    if word[start] in "'\"" and word[start] in word[start + 1 : place]:
        return place, Reason.after_quote
    return place, Reason.quotes


def _misread(word: str, override: Override, sweep: bool, searches: bool) -> Iterator[str]:
    """What Hydra would read as something else than what was meant."""
    sign, key, value = _split(word)
    if not key.strip():
        yield _said(word, sweep)
    elif sign == "~":
        yield from _undeletable(word, key)
    elif override.is_sweep_override():
        if not sweep:
            yield _no_sweep(word, override)
        elif not override.is_discrete_sweep() and not searches:
            named = f"Name them: {key}=a,b or {key}=range(a,b,step)"
            yield f"{word}: an interval has no end of values. {named}; or search in it with {SEARCHES}."
    elif "=" in word and not value.strip():
        if key not in groups() and not _MAY_BE_EMPTY.fullmatch(key):
            none = f", or {key}=null for none" if NoneType in get_args(_kind(key)) else ""
            yield f"{word}: no value. Write {key}=VALUE{none}."
    elif key in groups() and "${" in value:
        yield f"{word}: a group takes the name of an option. Allowed: {', '.join(options_of(key))}."
    elif (whole := _list_above(key)) is not None:
        yield f"{word}: {whole} is a list, which has no keys. Write {whole}=[…]."
    elif get_origin(kind_of(key)) is list and not isinstance(override.value(), (list, NoneType)):
        proposal = proved(f"{sign}{key}=[{element(value)}]", kind_of(key))
        yield f"{word}: {key} is a list. Write: {shlex.quote(proposal or f'{key}=[…]')}"


def _list_above(key: str) -> str | None:
    """The list that a key would set something in by a name; an element has a number."""
    names = key.split(".")
    above = (".".join(names[:i]) for i in range(1, len(names)) if not names[i].isdecimal())
    return next((whole for whole in above if get_origin(kind_of(whole)) is list), None)


def _undeletable(word: str, key: str) -> Iterator[str]:
    """Why what `~` names cannot be taken out, if it cannot."""
    owner = kind_of(key.rpartition(".")[0])
    if key in ("stage", "model"):
        yield f"{word}: each run needs one. Write {key}=OPTION. Allowed: {', '.join(options_of(key))}."
    elif owner not in (None, TermConfig) and is_dataclass(owner) and _kind(key) is not None:
        none = f"{key}=null for none, or " if NoneType in get_args(_kind(key)) else ""
        yield f"{word}: this key cannot be taken out. Write {none}{key}=VALUE."


def _no_sweep(word: str, override: Override) -> str:
    """Several values without -m."""
    sign, key, value = _split(word)
    simple = isinstance(override._value, ChoiceSweep) and override._value.simple_form
    place = word.index("," if simple else "(")
    told = (
        f"{word}: {word[place]} at character {place + 1} makes it several values, which only a sweep has: "
        "sgg -m …"
    )
    if key in groups():
        return f"{told} Or choose one of them."
    if get_origin(kind_of(key)) is list:
        return f"{told} For a list write: {shlex.quote(f'{sign}{key}=[{value}]')}"
    one = proved(f"{sign}{key}={quoted(value)}", kind_of(key))
    return told if one is None else f"{told} For one value write: {shlex.quote(one)}"
