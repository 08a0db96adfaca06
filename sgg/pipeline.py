"""Several runs in order, each from the former's output: SFT -> GRPO -> eval on one command.

A step is composed like a command: the pipeline's own overrides, then the command line's, then the
step's. Every step has a run folder of its own below the pipeline's. Who starts the steps is another
matter: `launchers.local_pipeline` does it here in order, a sweep makes jobs that depend on each other, and
the last step that ends, wherever it ran, calls `finish_if_complete`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sgg.config.compose import Composer
from sgg.config.model import Init
from sgg.config.pipeline import PipelineConfig
from sgg.config.schema import Config
from sgg.config.stage import StageName, TrainStageConfig
from sgg.errors import SggError
from sgg.files import write_json, write_whole
from sgg.models.weights import is_complete
from sgg.plan.unread import refuse_unread
from sgg.plan.use import Use
from sgg.plan.validate import validate
from sgg.report.page import write_report
from sgg.report.tables import metrics_table
from sgg.runs.folder import PIPELINE, run_of
from sgg.runs.open_run import open_run
from sgg.runs.records import read_metrics, read_pipeline


@dataclass(frozen=True)
class Step:
    """One composed and checked step."""

    name: str
    init_from: str | None
    """Step whose model it starts from."""
    config: Config


def plan_steps(
    pipeline: PipelineConfig,
    overrides: list[str],
    folder: Path,
    composer: Composer,
    launcher: str = "local",
) -> list[Step]:
    """All steps, composed and checked before the first one runs; writes nothing."""
    if missing := [name for name in pipeline.table if name not in pipeline.steps]:
        raise SggError(
            f"pipeline.table names {', '.join(missing)}: no step of that name. "
            f"Steps: {', '.join(pipeline.steps)}."
        )
    steps = [
        _step(pipeline, name, overrides, folder, composer, launcher) for name in pipeline.steps
    ]
    _refuse_no_best(pipeline, steps)
    return steps


def freeze_steps(pipeline: PipelineConfig, steps: list[Step], folder: Path) -> list[Path]:
    """Write every step's frozen config, then FOLDER/pipeline.json; returns the run folders."""
    run_dirs = [open_run(step.config, step.init_from is not None) for step in steps]
    record = {"steps": [step.name for step in steps], "table": pipeline.table}
    write_json(folder / PIPELINE, record)
    return run_dirs


def finish_if_complete(folder: Path) -> None:
    """Once every step has its result: print the table, write it and the report."""
    record = read_pipeline(folder)
    if record is None:
        raise SggError(f"{folder / PIPELINE} is missing or damaged.")
    runs = [folder / name for name in record.steps]
    if not all(is_complete(run_dir) for run_dir in runs):
        return
    with FileLock(folder / "pipeline.lock"):  # two steps may end at once
        table = metrics_table({name: read_metrics(folder / name) for name in record.table})
        write_whole(folder / "table.md", table + "\n")
        report = write_report([folder])
    print(f"\n{table}\n\nReport: {report}", flush=True)


def _step(
    pipeline: PipelineConfig,
    name: str,
    overrides: list[str],
    folder: Path,
    composer: Composer,
    launcher: str,
) -> Step:
    step = pipeline.steps[name]
    not_for_steps = ("pipeline=", "pipeline.", "paths.run_dir=", "stage=")
    ours = [o for o in overrides if not o.lstrip("+~").startswith(not_for_steps)]
    source_folder = None
    init_from = None if step.init_from is None else run_of(step.init_from)
    if init_from is not None:
        names = list(pipeline.steps)
        if init_from not in names[: names.index(name)]:
            raise SggError(
                f"pipeline.steps.{name}.init_from={step.init_from}: no earlier step of that name."
            )
        source_folder = folder / str(step.init_from)
    config = composer.compose([*ours, *step.overrides])
    try:
        refuse_unread(step.overrides, [Use(config, launcher)])
    except SggError as error:
        raise SggError(f"pipeline.steps.{name}.overrides: {error}") from error
    # set here, not as words: a folder may have any name, and Hydra's grammar is not for all of them
    config.paths.run_dir = str(folder / name)
    if source_folder is not None:
        config.model.path, config.model.init = str(source_folder), Init.pretrained
    if config.stage.name is not StageName.eval and name in pipeline.table:
        raise SggError(f"pipeline.table names {name}, which is no eval step.")
    validate(config)
    return Step(name, init_from, config)


def _refuse_no_best(pipeline: PipelineConfig, steps: Sequence[Step]) -> None:
    """Refuse a step that starts from the best checkpoint of one that keeps none."""
    stages = {step.name: step.config.stage for step in steps}
    for step in steps:
        source = None if step.init_from is None else stages[step.init_from]
        asked = pipeline.steps[step.name].init_from
        if asked == step.init_from or not isinstance(source, TrainStageConfig):
            continue
        if not source.evaluate.every_steps or source.evaluate.keep_best is None:
            raise SggError(
                f"pipeline.steps.{step.name}.init_from={asked}: {step.init_from} keeps no best checkpoint. "
                "Add stage.evaluate.every_steps=N and stage.evaluate.keep_best=R@50 to its overrides."
            )
