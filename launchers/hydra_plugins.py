"""Hydra's doors to sweeps: the launchers `slurm` and `local`, and the sweeper that hands points to them.

Imports nothing but Hydra: every `sgg key=value` passes through here.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from launchers.sweep.commands import LaunchOptions


class SweepLauncher(Launcher):
    """Starts a batch of points; `launchers.sweep.commands` does it."""

    name = ""

    def __init__(self, parallel: int, retries: int, wait: bool = True) -> None:
        self._parallel, self._retries, self._wait = parallel, retries, wait
        self.shared: list[str] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what the points need to be composed alike."""
        refuse_unread_by_hydra(config.hydra, is_sweep=True)
        self.shared = searchpath_overrides(config.hydra)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Start all points; their results are in their folders."""
        from launchers.sweep.commands import start_sweep

        gc.enable()  # `sgg.main` has composed without it; a sweep may be waited for by the day
        lines = [[*self.shared, *overrides] for overrides in job_overrides]
        start_sweep(lines, self.options)
        return []

    @property
    def options(self) -> LaunchOptions:
        """How points are started."""
        from launchers.sweep.commands import LaunchOptions

        return LaunchOptions(self.name, self._parallel, self._retries, self._wait)


class SlurmLauncher(SweepLauncher):
    """hydra/launcher=slurm."""

    name = "slurm"


class LocalLauncher(SweepLauncher):
    """hydra/launcher=local."""

    name = "local"


class CartesianSweeper(Sweeper):
    """Every combination, as Hydra's own sweeper makes them; but points are composed once, by the launcher."""

    def __init__(self, params: dict[str, str] | None) -> None:
        self._params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher."""
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Hand all combinations to the launcher."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        words = [*(f"{key}={values}" for key, values in self._params.items()), *arguments]
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(words)
        [points] = BasicSweeper.split_arguments(parsed, None)
        return self._launcher.launch(points, 0)


class OptunaSweeper(Sweeper):
    """hydra/sweeper=optuna: points are chosen by what earlier ones have scored."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher, which says where points run."""
        self._loader = hydra_context.config_loader
        self._launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Make all trials."""
        from launchers.sweep.search import SearchOptions, search

        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(arguments)
        searched = [str(word.input_line) for word in parsed if word.is_sweep_override()]
        fixed = [str(word.input_line) for word in parsed if not word.is_sweep_override()]
        gc.enable()  # `sgg.main` has composed without it
        launcher = self._launcher
        search(
            searched, [*launcher.shared, *fixed], SearchOptions(**self._options), launcher.options
        )


def searchpath_overrides(hydra_config: Any) -> list[str]:
    """The command line's `hydra.searchpath=…`: composing again needs it."""
    words = as_typed(hydra_config.overrides.hydra)
    return [w for w in words if w.lstrip("+").startswith("hydra.searchpath=")]


def refuse_unread_by_hydra(hydra_config: Any, is_sweep: bool) -> None:
    """Raise SggError for a `hydra.…` override that nothing here reads."""
    words = [
        w for w in as_typed(hydra_config.overrides.hydra) if w.lstrip("+").startswith("hydra.")
    ]
    if words:
        from sgg.config.schema import Config
        from sgg.plan.unread import refuse_unread
        from sgg.plan.use import Use

        refuse_unread(words, [Use(Config(), is_sweep=is_sweep)])


def as_typed(words: Any) -> list[str]:
    """The command line's arguments as they are; reading Hydra's list would resolve what they hold."""
    to_typed: Any = OmegaConf.to_container(words, resolve=False)
    return list(to_typed)


def register_plugins() -> None:
    """Tell Hydra the launchers and the sweeper. Idempotent.

    Hydra takes plugins from a package named hydra_plugins only. Every Hydra program
    of this environment would import a package of that name on disk, so this module takes its place.
    """
    plugins = Plugins.instance()
    # the keys of hydra-optuna-sweeper, which Hydra would hold ours to
    stored: Any = ConfigStore.instance().repo
    stored.get("hydra", {}).get("sweeper", {}).pop("optuna.yaml", None)
    package = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    package.sgg = sys.modules[__name__]  # type: ignore[attr-defined]
    for plugin in (SlurmLauncher, LocalLauncher, CartesianSweeper, OptunaSweeper):
        plugin.__module__ = "hydra_plugins.sgg"
        plugins.register(plugin)
