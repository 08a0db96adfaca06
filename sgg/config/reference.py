"""docs/config.md: every key of the config with type, default and meaning, read from the schema's own source.

`python -m sgg.config.reference > docs/config.md`; a test holds the file to the schema.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sgg.config.schema import Config
from sgg.config.stage import STAGES

_HEAD = """\
# Keys of the config

Made from the schema by `python -m sgg.config.reference`; do not edit. Defaults are those of the schema;
options of `conf/` set others (`sgg … --cfg job` prints what is composed). `?` is what an option has to set.
"""


def reference() -> str:
    """The text of docs/config.md."""
    parts = [_HEAD]
    hints = get_type_hints(Config)
    plain = [field for field in fields(Config) if not _classes(hints[field.name])]
    notes = _notes(Config)
    for field in fields(Config):
        if field in plain:
            continue
        kinds = [*STAGES.values()] if field.name == "stage" else _classes(hints[field.name])
        parts.append(f"\n## {field.name}\n{(kinds[0].__doc__ or '').splitlines()[0]}")
        if note := notes.get(field.name):
            parts.append(note)
        parts.append(_table(_rows(field.name, kinds)))
    rows = [(f.name, _type(hints[f.name]), _default(f), notes.get(f.name, "")) for f in plain]
    return "\n".join([*parts, "\n## Others", _table(rows)]) + "\n"


def _rows(place: str, kinds: list[type]) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, default, meaning) of all fields of some classes, nested ones behind their key."""
    seen: set[str] = set()
    for kind in kinds:
        hints, notes = get_type_hints(kind), _notes(kind)
        of = f" (stage={kind.name.name})" if place == "stage" else ""  # type: ignore[attr-defined]
        for field in fields(kind):
            if field.name in seen:
                continue
            seen.add(field.name)
            key, note = f"{place}.{field.name}", notes.get(field.name, "")
            shared = all(field.name in get_type_hints(other) for other in kinds)
            if nested := _classes(hints[field.name]):
                yield from _rows(key, nested)
            else:
                meaning = note or _summary(hints[field.name])
                yield (
                    key,
                    _type(hints[field.name]),
                    _default(field),
                    meaning + ("" if shared else of),
                )


def _notes(kind: type) -> dict[str, str]:
    """The string behind each field, of the class and of those that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not is_dataclass(base):
            continue
        body = ast.parse(inspect.getsource(base)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, behind in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(behind, ast.Expr):
                assert isinstance(field.target, ast.Name)
                assert isinstance(behind.value, ast.Constant)
                found[field.target.id] = " ".join(str(behind.value.value).split())
    return found


def _classes(kind: Any) -> list[type]:
    """The dataclasses that a type may be."""
    if get_origin(kind) in (Union, UnionType):
        return [c for part in get_args(kind) for c in _classes(part)]
    return [kind] if is_dataclass(kind) and isinstance(kind, type) else []


def _summary(kind: Any) -> str:
    is_enum = isinstance(kind, type) and issubclass(kind, Enum)
    return (kind.__doc__ or "").splitlines()[0] if is_enum else ""


def _type(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join("null" if part is type(None) else _type(part) for part in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(member.name for member in kind)
    if get_origin(kind) is not None:
        inside = ", ".join(_type(part) for part in get_args(kind))
        return f"{get_origin(kind).__name__}[{inside}]"
    return str(getattr(kind, "__name__", kind))


def _default(field: Field[Any]) -> str:
    value = field.default
    if value is NO_DEFAULT:
        value = field.default_factory() if field.default_factory is not NO_DEFAULT else "???"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return f"[{', '.join(v.name if isinstance(v, Enum) else str(v) for v in value)}]"
    return "null" if value is None else "?" if value == "???" else str(value)


def _table(rows: Any) -> str:
    lines = ["", "| key | type | default | meaning |", "|---|---|---|---|"]
    for key, kind, default, meaning in rows:
        cells = (f"`{key}`", kind, f"`{default}`", meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
