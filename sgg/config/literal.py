"""Typed values as literal YAML and back: what is written is what is read, and nothing in it is resolved.

Input: a tree of dataclasses, or the text of one. Output: text, or the tree, checked against its
types. No `${…}` is looked up and no `???` stands for a missing value, so a file from elsewhere cannot ask
for the environment. Text is quoted wherever YAML 1.1 or 1.2 would see a number, a truth value or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from sgg.errors import SggError, did_you_mean

_FLOAT = re.compile(
    r"^(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
"""YAML 1.2: 1e-5 is a number, too."""

_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9 _./+-]*(?<! )")
"""Text that stands without quotes, unless it is one of these words."""

_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
"""Truth values of YAML 1.1 and 1.2, and nothing, in small letters."""


def plain(value: Any) -> Any:
    """Dataclasses as dicts and enums as their names, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def dumps(tree: Any) -> str:
    """The tree as YAML, keys in their order."""
    return yaml.dump(
        plain(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )


def loads(text: str) -> dict[str, Any]:
    """The mapping that a text holds.

    Raises:
        SggError: it is no YAML of plain values, or no mapping.

    """
    try:
        values = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SggError(f"not a config that sgg has written: {_message(error)}") from error
    if not isinstance(values, dict):
        raise SggError("not a config that sgg has written: there are no keys in it.")
    return values


def _message(error: Exception) -> str:
    """What a reader of YAML says, on one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"  # type: ignore[attr-defined]


def build(
    kind: Any, value: Any, key: str = "", choose: Callable[[Any, Any], Any] = lambda kind, _: kind
) -> Any:
    """A plain value as what its type says.

    Args:
        kind: a dataclass, enum, scalar type, `list[…]`, `dict[str, …]`, a union with None, or Any.
        key: where the value stands, for messages.
        choose: (type, value) -> the type to take instead, for a class that has several kinds.

    Raises:
        SggError: the value does not fit; the message names the key.

    """
    kind = choose(kind, value)
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        [kind] = (k for k in inner if k is not NoneType)
        return build(kind, value, key, choose)
    if is_dataclass(kind):
        return _instance(kind, value, key, choose)
    if origin is list and isinstance(value, list):
        return [build(inner[0], v, f"{key}[{i}]", choose) for i, v in enumerate(value)]
    if origin is dict and isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: build(inner[1], v, f"{key}.{k}", choose) for k, v in value.items()}
    if origin is None and _is(kind, value):
        return kind[value] if issubclass(kind, Enum) else kind(value)
    raise SggError(f"{key}={value!r}: must be {_said(kind)}.")


def _is(kind: type, value: Any) -> bool:
    if issubclass(kind, Enum):
        return isinstance(value, str) and value in kind.__members__
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def _said(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, Enum):
        return f"one of {', '.join(origin.__members__)}"
    words = {str: "text, in quotes where it looks like something else", int: "a whole number"}
    words |= {float: "a number", bool: "true or false", list: "a list", dict: "a mapping by name"}
    return words[origin]


def _instance(kind: Any, values: Any, key: str, choose: Callable[[Any, Any], Any]) -> Any:
    if not isinstance(values, dict):
        raise SggError(f"{key}={values!r}: must be keys with values.")
    prefix, hints = f"{key}." if key else "", field_types(kind)
    for name in values:
        if name not in hints:
            raise SggError(f"{prefix}{name}: no such key.{did_you_mean(str(name), hints)}")
    for f in fields(kind):
        no_default = f.default_factory is MISSING and f.default in (MISSING, "???")
        if f.name not in values and no_default:
            raise SggError(f"{prefix}{f.name}: missing.")
    return kind(**{k: build(hints[k], v, f"{prefix}{k}", choose) for k, v in values.items()})


@cache
def field_types(kind: type) -> dict[str, Any]:
    """Type of each field of a dataclass."""
    return get_type_hints(kind)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml has no types
    """Every value where it stands: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    bare = _BARE.fullmatch(value) and value.lower() not in _WORDS
    style = None if bare else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML of plain values: 1e-5 is a number, a date is text, a key stands once, nothing is repeated."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.YAMLError(f"*{event.anchor}: values are not shared. {event.start_mark}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        known: set[Hashable] = set()
        for place, _ in node.value:
            key = self.construct_object(place, deep=True)
            if not isinstance(key, Hashable):
                break  # which the reader of YAML refuses
            if key in known:
                raise yaml.YAMLError(f"{key} stands there twice. {node.start_mark}")
            known.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
