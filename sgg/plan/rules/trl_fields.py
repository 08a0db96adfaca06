"""The fields of TRL's config classes, and parameters of functions, read from source without an import.

Importing TRL takes seconds and torch; a typo in `stage.args` must be reported before a job is queued,
on a login node. So the classes' annotations are read from the installed files' syntax trees.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

_CLASSES = {
    "sft": ("trl", "trainer/sft_config.py", "SFTConfig"),
    "grpo": ("trl", "trainer/grpo_config.py", "GRPOConfig"),
}
_BASES = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
)


@lru_cache(maxsize=4)
def trl_fields(stage: str) -> dict[str, str]:
    """Field name -> annotation as written, for `sft` (SFTConfig) or `grpo` (GRPOConfig).

    Raises:
        ModuleNotFoundError: TRL or transformers is not installed.

    """
    found: dict[str, str] = {}
    for package, file, name in (*_BASES, _CLASSES[stage]):
        found |= _annotations(_folder(package) / file, name)
    return found


class Parameter(NamedTuple):
    """A parameter of a function, as it is written."""

    annotation: str
    """Empty where there is none."""
    is_needed: bool
    """Whether it has no default."""


@lru_cache(maxsize=16)
def parameters(package: str, file: str, function: str) -> dict[str, Parameter]:
    """The parameters of a function at the top of a file, by name.

    Raises:
        ModuleNotFoundError: the package is not installed.

    """
    tree = ast.parse((_folder(package) / file).read_text(encoding="utf-8"))
    found = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    args = found.args.args
    needed = len(args) - len(found.args.defaults)
    return {
        arg.arg: Parameter(ast.unparse(arg.annotation) if arg.annotation else "", place < needed)
        for place, arg in enumerate(args)
    }


def fits(value: Any, annotation: str) -> bool:
    """Whether a plain value can be what the annotation says; unknown types are TRL's to judge."""
    words = set(re.findall(r"\w+", annotation))
    if value is None:
        return "None" in words
    if not words <= {"int", "float", "bool", "str", "None"}:
        return True
    if isinstance(value, bool):
        return "bool" in words
    if isinstance(value, int):
        return bool(words & {"int", "float"})
    if isinstance(value, float):
        return "float" in words
    return isinstance(value, str) and "str" in words


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed; run `make setup`")
    return Path(spec.origin).parent


def _annotations(path: Path, class_name: str) -> dict[str, str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name)
    return {
        item.target.id: ast.unparse(item.annotation)
        for item in body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if not ast.unparse(item.annotation).startswith(("ClassVar", "InitVar"))
    }
