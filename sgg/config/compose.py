"""Composing configs from code: what `sgg key=value …` does, for tools, pipelines, sweeps and tests."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from sgg.config.frozen import to_typed
from sgg.config.hardware import gpus_here
from sgg.config.overrides import read_overrides
from sgg.config.schema import Config
from sgg.config.stage import STAGES
from sgg.config.tree import CONF_DIR, cache_here


def compose_config(overrides: list[str]) -> Config:
    """The typed config of these overrides."""
    return Composer().compose(overrides)


def with_choices(cfg: DictConfig, choices: Mapping[str, str | None]) -> Config:
    """A composed config as typed objects, and in it the option chosen in each group of `conf`."""
    config = to_typed(cfg)
    config.choices = {k: v for k, v in choices.items() if v and not k.startswith("hydra/")}
    return config


class Composer:
    """Composes many points of a sweep: each choice of groups once, values on top of a copy.

    Hydra does the same two steps in one call, the first of which takes 90 % of its time.
    """

    def __init__(self) -> None:
        register()
        self._bases: dict[tuple[str, ...], tuple[DictConfig, dict[str, str | None]]] = {}

    def compose(self, overrides: list[str]) -> Config:
        """The typed config of these overrides."""
        parsed = read_overrides(overrides)
        with _hydra():
            chosen = tuple(str(o.input_line) for o in parsed if _chooses(o))
            if chosen not in self._bases:
                self._bases[chosen] = _base(list(chosen))
            base, choices = self._bases[chosen]
            cfg = copy.deepcopy(base)
            ConfigLoaderImpl._apply_overrides_to_config([o for o in parsed if not _chooses(o)], cfg)
            return with_choices(cfg, choices)


def _chooses(override: Override) -> bool:
    """Whether an override decides which files are read, rather than a value in them."""
    repository = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    return bool(override.is_hydra_override() or repository.group_exists(override.key_or_group))


def _base(chosen: list[str]) -> tuple[DictConfig, dict[str, str | None]]:
    cfg = compose("config", chosen, return_hydra_config=True)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra's global state: the running app's, or one of our own for the moment."""
    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_dir(str(CONF_DIR.resolve()), version_base="1.3"):
        yield


def register() -> None:
    """Tell Hydra the schema and the site's folder, and OmegaConf what a machine decides. Idempotent."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from sgg.config.search_path import SitePlugin

    Plugins.instance().register(SitePlugin)
    OmegaConf.register_new_resolver("sgg.gpus_here", gpus_here, replace=True)
    OmegaConf.register_new_resolver("sgg.cache_here", cache_here, replace=True)

    store = ConfigStore.instance()
    # nobody else has the schema's nodes: copying each as it is set costs a startup 3 %
    schema = OmegaConf.structured(Config, flags={"no_deepcopy_set_nodes": True})
    store.store(name="schema", node=schema)
    for name, stage in STAGES.items():
        store.store(group="stage", name=f"{name.name}_schema", node=stage)
