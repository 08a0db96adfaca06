"""Composing configs from code: what `sgg key=value …` does, for tools, pipelines and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from sgg.cli import prepare_argv
from sgg.config import Config, register, typed
from sgg.places import CONF_DIR


def compose_config(overrides: list[str]) -> tuple[Config, dict[str, str | None]]:
    """The typed config of these overrides, and the option chosen in each group."""
    register()
    with _hydra():
        words = [*_typed_searchpath(), *prepare_argv(overrides)]
        cfg = compose("config", words, return_hydra_config=True)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return typed(cfg), choices


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra's global state: the running app's, or one of our own for the moment."""
    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_dir(str(CONF_DIR.resolve()), version_base="1.3"):
        yield


def _typed_searchpath() -> list[str]:
    """What the running command said about folders with further options: its steps see them, too."""
    if not HydraConfig.initialized():
        return []
    words = HydraConfig.get().overrides.hydra
    return [word for word in words if word.startswith("hydra.searchpath=")]
