"""A pipeline on this machine: all its steps are prepared before the first one starts, then executed in order.

A finished step is not run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from launchers.consent import require_consent
from launchers.kinds import checked_config
from launchers.local import describe, execute, held, owned
from launchers.node.agent import check_machine, report_failure_logged
from launchers.placement import NodePlacement
from sgg.config.compose import Composer
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.files import make_output_folder
from sgg.models.weights import is_complete
from sgg.pipeline import Step, finish_if_complete, freeze_steps, plan_steps
from sgg.plan.presence import Preflight
from sgg.plan.unread import refuse_unread
from sgg.plan.use import Use
from sgg.plan.validate import validate
from sgg.runs.folder import PIPELINE, made, new_names
from sgg.runs.records import read_pipeline


def run_pipeline(config: Config, overrides: list[str]) -> Path:
    """Run all steps here, print and write the table; returns the pipeline's folder.

    Raises:
        SggError: a step cannot run here, and none was started; or one has failed.
        Stopped: a signal ended one.

    """
    pipeline = config.pipeline
    assert pipeline is not None
    validate(config)
    composer = Composer()
    for folder in _folders(config):
        steps = plan_steps(pipeline, overrides, folder, composer)
        refuse_unread(overrides, [Use(step.config) for step in steps])
        if config.dry_run:
            _describe(steps)
            return folder
        _look_for_all(steps)
        if config.paths.run_dir or made(folder):
            break
    make_output_folder(folder)
    with owned(folder):
        freeze_steps(pipeline, steps, folder)
        execute_steps(folder)
    return folder


def resume_pipeline(folder: Path, trust: bool) -> None:
    """Resume the steps that are not finished, by their frozen configs only.

    Args:
        trust: whether the user accepts steps that are not theirs.

    Raises:
        SggError: a step is not the user's, this machine is not enough for it, another process owns a folder,
            or a step has failed.
        Stopped: a signal ended one.

    """
    here = NodePlacement.single()
    runs = [folder / name for name in _names(folder)]
    require_consent(runs, ["sgg", "resume", str(folder)], trust)
    for run_dir in runs:
        check_machine(checked_config(run_dir), here)
    with owned(folder):
        execute_steps(folder)


def execute_steps(folder: Path) -> None:
    """Run the steps that are not finished, from their frozen configs; then write the table and the report.

    Args:
        folder: of a pipeline whose steps are frozen; it is ours.

    Raises:
        SggError: a step has failed, or another process owns its folder.
        Stopped: a signal ended one.

    """
    names = _names(folder)
    for number, name in enumerate(names, start=1):
        run_dir = folder / name
        stage = read_frozen(run_dir / FROZEN_NAME).stage.name.name
        done = is_complete(run_dir)
        said = ", which is finished" if done else ""
        print(f"\n[{number}/{len(names)}] {name}: stage={stage}{said}", flush=True)
        if not done:
            with held(run_dir):
                execute(run_dir)
    with report_failure_logged(folder):
        finish_if_complete(folder)


def _folders(config: Config) -> Iterable[Path]:
    """The configured folder, or new names until one can be made."""
    if config.paths.run_dir:
        return [Path(config.paths.run_dir)]
    return new_names(Path(config.paths.root) / config.choices.get("pipeline", "pipeline"))


def _names(folder: Path) -> list[str]:
    record = read_pipeline(folder)
    if record is None:
        raise SggError(
            f"{folder / PIPELINE} is damaged. Resume each step: sgg resume {folder}/STEP"
        )
    return record.steps


def _describe(steps: Sequence[Step]) -> None:
    for number, step in enumerate(steps, start=1):
        print(f"\n[{number}/{len(steps)}] {step.name}: stage={step.config.stage.name.name}")
        describe(step.config)


def _look_for_all(steps: Iterable[Step]) -> None:
    """Weights, data, packages and GPUs of all steps."""
    preflight, here = Preflight(), NodePlacement.single()
    for step in steps:
        preflight.check(step.config, model_is_made=step.init_from is not None)
        check_machine(step.config, here)
