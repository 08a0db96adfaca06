"""Two doors, one dispatch: `main` for people (Hydra), `run_frozen` for ranks and resumed runs.

`sgg key=value …` runs the stage that the config names; `sgg VERB …` is a tool. Nothing heavy is
imported before the config stands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import hydra
from omegaconf import DictConfig

from sgg.cli import VERBS, guarded, prepare_argv
from sgg.config import CONF_DIR, Config, StageName, register, thaw, typed

STAGES = {
    StageName.sft: "sgg.train.sft",
    StageName.grpo: "sgg.train.grpo",
    StageName.eval: "sgg.evaluate",
}
"""Module with `run(config, run_dir)` for every stage."""


def main() -> None:
    """The console script `sgg`."""
    register()
    if len(sys.argv) > 1 and sys.argv[1] in VERBS:
        module, _, function = VERBS[sys.argv[1]].partition(":")
        tool: Callable[[list[str]], None] = getattr(import_module(module), function)
        sys.exit(guarded(lambda: tool(sys.argv[2:])))
    sys.argv[1:] = prepare_argv(sys.argv[1:])
    codes: list[int] = []

    def task(cfg: DictConfig) -> None:
        """One point of a sweep: its failure is told and kept, and the other points still run."""
        codes.append(guarded(lambda: _start_composed(cfg)))

    app = hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")(task)
    sys.exit(max([guarded(app), *codes]))


def _start_composed(cfg: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    hydra_config = HydraConfig.get()
    start(typed(cfg), dict(hydra_config.runtime.choices), list(hydra_config.overrides.task))


def start(config: Config, choices: dict[str, str | None], overrides: list[str]) -> Path | None:
    """Check, freeze and run; returns the run folder (None for a pipeline)."""
    from launchers.local import launch
    from sgg import pipeline
    from sgg.run import open_run, resumable
    from sgg.validate import validate

    if config.resume is not None:
        return launch(resumable(config.resume, overrides))
    groups = {k: v for k, v in choices.items() if v and not k.startswith("hydra/")}
    config.choices = groups
    validate(config)
    if config.pipeline is not None:
        pipeline.run(config, overrides)
        return None
    return launch(open_run(config) / "config.yaml")


def run_frozen(path: Path) -> None:
    """Run the stage of a frozen config in this process, which may be one rank of several."""
    from sgg.run import record_start, start_logging

    config, run_dir = thaw(path), path.parent
    config.paths.run_dir = str(run_dir)
    rank = int(os.environ.get("RANK", 0))
    start_logging(run_dir, rank)
    if rank == 0:
        record_start(run_dir, config)
    import_module(STAGES[config.stage.name]).run(config, run_dir)
