"""Hydra's doors to sweeps: the launchers `slurm` and `local`, and the sweeper that hands points to them.

Imports nothing but Hydra: every `sgg key=value` passes through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SweepLauncher(Launcher):
    """Starts a batch of points; `launchers.sweeps` does it."""

    name = ""

    def __init__(self, parallel: int, wait: bool = True) -> None:
        self._parallel, self._wait = parallel, wait
        self._shared: list[str] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what the points need to be composed alike."""
        self._shared = searchpath_words(config.hydra)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Start all points; what they return stands in their folders."""
        from launchers.sweeps import Launching, start_sweep

        lines = [[*self._shared, *overrides] for overrides in job_overrides]
        start_sweep(lines, Launching(self.name, self._parallel, self._wait))
        return []


class SlurmLauncher(SweepLauncher):
    """hydra/launcher=slurm."""

    name = "slurm"


class LocalLauncher(SweepLauncher):
    """hydra/launcher=local."""

    name = "local"


class PointSweeper(BasicSweeper):
    """Hydra's own sweeper, but points are composed once, by the launcher, and nothing is written here."""

    def sweep(self, arguments: list[str]) -> Any:
        """Hand every combination to the launcher."""
        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        batches = self.split_arguments(parser.parse_overrides(arguments), self.max_batch_size)
        return [self.launcher.launch(batch, 0) for batch in batches]


def searchpath_words(hydra_config: Any) -> list[str]:
    """The command line's `hydra.searchpath=…`: composing again needs it."""
    return [
        w for w in hydra_config.overrides.hydra if w.lstrip("+").startswith("hydra.searchpath=")
    ]


def register_plugins() -> None:
    """Tell Hydra the launchers and the sweeper. Idempotent."""
    for plugin in (SlurmLauncher, LocalLauncher, PointSweeper):
        plugin.__module__ = (
            "hydra_plugins.sgg"  # Hydra takes plugins from a package of that name only
        )
        Plugins.instance().register(plugin)
