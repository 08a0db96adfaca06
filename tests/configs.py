"""Composing and checking configs, and what there is to choose from."""

from itertools import product

from sgg.config.compose import compose_config
from sgg.config.tree import CONF_DIR
from sgg.plan.validate import validate


def options(group):
    """The project's own options of a group, whatever a site adds."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


def check(overrides):
    """The composed config, which must be valid."""
    config = compose_config(overrides)
    validate(config)
    return config


def points(words):
    """The override lists of a sweep: each word's values, separated by commas, in all combinations."""
    named = [word.partition("=") for word in words]
    return [
        [f"{key}={value}" for (key, _, _), value in zip(named, values, strict=True)]
        for values in product(*(values.split(",") for _, _, values in named))
    ]


def fitting(stage, hardware):
    """Words with which every published model fits a profile's GPUs (sgg/plan/rules/memory.py)."""
    if stage == "eval":
        return []
    return ["model.lora.enable=true"] if hardware.startswith("one_") else ["hardware.nodes=2"]
