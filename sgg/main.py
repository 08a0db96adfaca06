"""The command line: `sgg key=value …` runs the stage that the config names; `sgg TOOL …` is a tool.

`run` is the same for Python.

Nothing heavy is imported before the config is composed and checked.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgg.cli.help import help_screen
from sgg.config.argv import TOOLS
from sgg.errors import SggError
from sgg.explain.exit_codes import run_and_report

if TYPE_CHECKING:
    from sgg.config.schema import Config


def main() -> None:
    """The console script `sgg`."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in TOOLS:
        sys.exit(run_and_report(lambda: _tool(arguments[0], arguments[1:])))
    if not arguments or "--help" in arguments or "-h" in arguments:
        if code := run_and_report(lambda: print(help_screen())):
            sys.exit(code)
        return
    sys.exit(_run_hydra(arguments))


def _tool(verb: str, arguments: list[str]) -> None:
    if dashed := [argument for argument in arguments if re.match(r"-{1,2}[\w./@]+=", argument)]:
        from sgg.config.overrides import read_overrides

        read_overrides(dashed)  # says how a key is set
    import_module(f"sgg.cli.{verb}").main(arguments)


def _run_hydra(arguments: list[str]) -> int:
    """Compose and run, without garbage collection until a run starts; the exit code."""
    gc.disable()  # composing makes many small objects and drops none: a third of its time otherwise
    code = run_and_report(lambda: _arrange(arguments)) or _hydra_app()
    if not gc.isenabled():  # no run was here
        gc.freeze()  # from the collection at exit, which takes a tenth of `--cfg job`
    return code


def _arrange(arguments: list[str]) -> None:
    """Leave Hydra its flags, then overrides that it can read."""
    from sgg.config.overrides import read_overrides, split_flags

    flags, overrides = split_flags(arguments)
    completion = {"--shell-completion", "-sc"} & {*flags}
    if not completion:
        sweep = bool({"--multirun", "-m"} & {*flags})
        overrides = [str(word.input_line) for word in read_overrides(overrides, sweep)]
    sys.argv[1:] = [*flags, *overrides]


def _hydra_app() -> int:
    """Compose and run what the command line asks for; the exit code."""
    import hydra

    from launchers.hydra_plugins import register_plugins
    from sgg.config.compose import register
    from sgg.config.tree import CONF_DIR

    register()
    register_plugins()
    codes: list[int] = []

    def task(cfg: Any) -> None:
        """Errors are reported here, because Hydra would wrap them in its own message."""
        codes.append(run_and_report(lambda: _start_composed(cfg)))

    app = hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")(task)
    return max([run_and_report(app), *codes])


def _start_composed(cfg: Any) -> None:
    """One run, here or as a job; a sweep's points do not come here, but to Hydra's launcher."""
    gc.enable()
    from hydra.core.hydra_config import HydraConfig

    from launchers.hydra_plugins import as_typed, refuse_unread_by_hydra, searchpath_overrides
    from sgg.config.compose import with_choices

    hydra_config = HydraConfig.get()
    choices = hydra_config.runtime.choices
    by_slurm = choices["hydra/launcher"] == "slurm"
    if choices["hydra/sweeper"] == "optuna":
        raise SggError(
            "hydra/sweeper=optuna searches over several values, which -m takes: sgg -m …"
        )
    refuse_unread_by_hydra(hydra_config, is_sweep=by_slurm)
    overrides = [*searchpath_overrides(hydra_config), *as_typed(hydra_config.overrides.task)]
    if by_slurm:  # which Hydra itself heeds only with -m
        from launchers.sweep.commands import LaunchOptions, start_sweep

        launcher = hydra_config.launcher
        start_sweep(
            [overrides], LaunchOptions("slurm", launcher.parallel, launcher.retries, launcher.wait)
        )
    else:
        start(with_choices(cfg, choices), overrides)


def start(config: Config, overrides: list[str]) -> Path:
    """Check, freeze and run to the end; returns the folder of the run or pipeline."""
    from launchers.local import describe, execute, prepared
    from launchers.local_pipeline import run_pipeline
    from sgg.plan.unread import refuse_unread
    from sgg.plan.use import Use
    from sgg.plan.validate import validate

    if config.pipeline is not None:
        return run_pipeline(config, overrides)
    if config.dry_run:
        refuse_unread(overrides, [Use(config)])
        validate(config)
        describe(config)
        return Path(config.paths.run_dir or config.paths.root)
    with prepared(config, overrides) as run_dir:
        execute(run_dir)
    return run_dir


def run(overrides: list[str]) -> tuple[Path, dict[str, float]]:
    """Compose these overrides and run to the end: the folder, and the metrics of an evaluation.

    Raises:
        SggError: the overrides are wrong, something is missing, or the run has failed.

    """
    import shlex

    from sgg.config.compose import compose_config
    from sgg.explain.exceptions import explain
    from sgg.files import read_json
    from sgg.runs.folder import COMMAND_VARIABLE, METRICS

    for word in overrides:
        if word.lstrip("+~").startswith("hydra/"):
            raise SggError(
                f"{word}: sgg.run starts one run, here. Use the command line for others."
            )
    try:
        config = compose_config(overrides)
    except Exception as error:
        message = explain(error)
        if message is None or isinstance(error, SggError):
            raise
        raise SggError(message) from error
    os.environ[COMMAND_VARIABLE] = shlex.join(["sgg", *overrides])  # for the run's provenance
    try:
        folder = start(config, overrides)
    finally:
        os.environ.pop(COMMAND_VARIABLE)
    return folder, (read_json(folder / METRICS) or {"metrics": {}})["metrics"]
