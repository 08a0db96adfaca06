"""Several runs in order, each from the former's output: SFT -> GRPO -> eval on one command.

A step is composed like a command: the pipeline's own overrides, then the command line's, then the
step's. Every step has a run folder of its own below the pipeline's; a finished step is not run again,
so the same command with the same paths.run_dir goes on where it was stopped.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sgg.compose import compose_config
from sgg.config import Config, PipelineConfig, StageName
from sgg.errors import SggError, Stopped
from sgg.evaluate import read_metrics
from sgg.report.build import write_report
from sgg.report.table import metrics_table
from sgg.run import write_json

log = logging.getLogger("sgg")


Start = Callable[[Config, dict[str, str | None], list[str]], Path]
"""What runs one composed config to its end: `main.start`."""


def run(config: Config, overrides: list[str], start: Start) -> Path:
    """Run all steps, print and write the table; returns the pipeline's folder."""
    pipeline = config.pipeline
    assert pipeline is not None
    folder = Path(config.paths.run_dir) if config.paths.run_dir else _new_folder(config)
    steps = {name: _step(config, pipeline, name, overrides, folder) for name in pipeline.steps}
    for number, (name, (step_config, choices)) in enumerate(steps.items(), start=1):
        print(f"\n[{number}/{len(steps)}] {name}: stage={step_config.stage.name.name}", flush=True)
        try:
            start(step_config, choices, [])
        except Stopped as stopped:
            same = [o for o in overrides if not o.startswith("paths.run_dir=")]
            command = shlex.join(["sgg", *same, f"paths.run_dir={folder}"])
            raise Stopped(
                f"Stopped in step {name}. Go on with: {command}", stopped.signal_number
            ) from stopped
    evaluated = {name: folder / name for name in pipeline.table}
    table = metrics_table({name: read_metrics(path) for name, path in evaluated.items()})
    (folder / "table.md").write_text(table + "\n", encoding="utf-8")
    write_json(folder / "pipeline.json", {"steps": list(steps), "table": pipeline.table})
    report = write_report(folder, [folder / name for name in steps])
    print(f"\n{table}\n\nReport: {report}", flush=True)
    return folder


def _step(
    config: Config, pipeline: PipelineConfig, name: str, overrides: list[str], folder: Path
) -> tuple[Config, dict[str, str | None]]:
    """The step's config; all are composed and checked before the first one runs."""
    from sgg.validate import validate

    step = pipeline.steps[name]
    not_for_steps = ("pipeline=", "pipeline.", "paths.run_dir=", "stage=")
    ours = [o for o in overrides if not o.lstrip("+").startswith(not_for_steps)]
    derived = [f"paths.run_dir={folder / name}", *step.overrides]
    if step.init_from is not None:
        source = pipeline.steps.get(step.init_from)
        before = list(pipeline.steps).index(name)
        if source is None or list(pipeline.steps).index(step.init_from) >= before:
            raise SggError(
                f"pipeline.steps.{name}.init_from={step.init_from}: no earlier step of that name."
            )
        derived += [f"model.path={folder / step.init_from}", "model.init=pretrained"]
    step_config, choices = compose_config([*ours, *derived])
    if step_config.stage.name is not StageName.eval and name in pipeline.table:
        raise SggError(f"pipeline.table names {name}, which is no eval step.")
    validate(step_config)
    return step_config, choices


def _new_folder(config: Config) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path(config.paths.root) / f"{config.choices.get('pipeline', 'pipeline')}-{stamp}"
