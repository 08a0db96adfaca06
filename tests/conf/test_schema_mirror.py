"""`sgg/config` mirrors `conf`: the keys of conf/X are typed in sgg/config/X.py, and nowhere else."""

import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import yaml

from sgg.config.schema import Config
from sgg.config.stage import STAGES
from sgg.config.tree import CONF_DIR

FOREIGN = {"deepspeed", "fsdp"}
"""Settings of other libraries, by their own names."""

FILES = sorted(
    p for p in CONF_DIR.rglob("*.yaml") if p.parent != CONF_DIR and "hydra" not in p.parts
)


def typed_groups():
    hints = get_type_hints(Config)
    return {f.name: hints[f.name] for f in fields(Config) if classes(hints[f.name])}


def classes(kind):
    """The dataclasses that a field's type may be."""
    if get_origin(kind) in (Union, UnionType):
        return [c for part in get_args(kind) for c in classes(part)]
    return [kind] if is_dataclass(kind) else []


GROUPS = typed_groups()


def untyped(kinds, values, module, place):
    """Keys below some classes that none of them has as a field, or that another module types."""
    for key, value in values.items():
        types = [get_type_hints(kind)[key] for kind in kinds if key in get_type_hints(kind)]
        if not types:
            yield f"{place}.{key}"
            continue
        if any(kind.__module__ != module for kind in kinds):
            yield f"{place}.{key} (typed in {', '.join(k.__module__ for k in kinds)})"
        below = [c for kind in types for c in classes(kind)]
        if below and isinstance(value, dict):
            yield from untyped(below, value, module, f"{place}.{key}")


def stated(path):
    """The values of a file by group: below their own, or, with `@package _global_`, named."""
    text = path.read_text()
    values = {k: v for k, v in (yaml.safe_load(text) or {}).items() if k != "defaults"}
    package = re.search(r"# @package (\w+)", text)
    if package and package[1] == "_global_":
        return {k: v for k, v in values.items() if isinstance(v, dict)}
    return {package[1] if package else path.parent.name: values}


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_key_is_typed_in_the_module_of_its_folder(path):
    for group, values in stated(path).items():
        if group in FOREIGN:
            continue
        kinds = [*STAGES.values()] if group == "stage" else classes(GROUPS[group])
        assert not [*untyped(kinds, values, f"sgg.config.{group}", group)]


def test_a_key_without_a_type_is_found():
    kinds = classes(GROUPS["model"])
    values: dict[str, Any] = {"path": "x", "lora": {"r": 8, "rank": 8}, "depth": 3}
    assert [*untyped(kinds, values, "sgg.config.model", "model")] == [
        "model.lora.rank",
        "model.depth",
    ]


def test_every_typed_folder_has_its_module():
    for group in GROUPS:
        assert (CONF_DIR / group).is_dir(), group
        assert any(kind.__module__ == f"sgg.config.{group}" for kind in classes(GROUPS[group]))
        import_module(f"sgg.config.{group}")
