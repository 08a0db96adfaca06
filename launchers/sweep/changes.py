"""What may still change when a sweep is resumed: the Slurm options of its jobs alone.

Input: overrides such as `hardware.slurm.time_min=240`. Output: the frozen configs of the runs that are
started again, with these keys changed and no other, and a record of it in sweep.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from sgg.config import literal
from sgg.config.argv import unresolved
from sgg.config.frozen import FROZEN_NAME, read_frozen, write_frozen
from sgg.config.hardware import SlurmConfig
from sgg.config.overrides import read_overrides
from sgg.config.schema import Config
from sgg.errors import SggError, counted
from sgg.plan.validate import validate
from sgg.runs.signature import sign_run
from sgg.runs.sweep import SWEEP, ChangeRecord, RunRecord, SweepRecord

_OF_JOBS = "hardware.slurm."


def change_jobs(
    folder: Path, record: SweepRecord, runs: Sequence[RunRecord], active: int, words: Sequence[str]
) -> str:
    """Change what these runs of a sweep ask of Slurm: all of them, or none where one cannot be.

    Returns what to tell of it, once the jobs are submitted.

    Args:
        active: how many other runs of the sweep are queued or running.

    Raises:
        SggError: an override sets something else, is wrong, or would change nothing.

    """
    overrides = read_overrides(words)
    for override in overrides:
        _refuse_others(override)
    said = " ".join(words)
    if record.launcher != "slurm":
        raise SggError(f"{said} changes nothing: this sweep runs without Slurm. Leave it out.")
    if not runs:
        raise SggError(
            f"{said} changes nothing: every run is finished, queued or running. What is queued or running "
            f"keeps what it asked for; end it first by: sgg cancel {folder}"
        )
    configs = {run.folder: _changed(folder / run.folder, overrides) for run in runs}
    for name, config in configs.items():
        write_frozen(config, folder / name / FROZEN_NAME)
        sign_run(folder / name)
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    record.changes.append(ChangeRecord(time, list(words), list(configs)))
    record.write(folder)
    told = f"{said}: for {counted(len(configs), 'run')}, as {SWEEP} records"
    return (
        f"{told}\n{active} more are queued or running and keep what they asked for."
        if active
        else told
    )


def _refuse_others(override: Override) -> None:
    word, key = str(override.input_line).lstrip("+"), override.key_or_group
    if not key.startswith(_OF_JOBS):
        raise SggError(
            f"{word}: a run has one config from its first step to its last, or its numbers "
            f"could not be told apart, so only {_OF_JOBS}… can change when a sweep is resumed. Start a new "
            f"sweep with {key}."
        )
    if override.is_delete():
        raise SggError(f"{word}: write {key}=VALUE; null leaves it to the cluster.")


def _changed(run_dir: Path, overrides: list[Override]) -> Config:
    """A run's frozen config with other values, read as those of a first submission are, and checked."""
    config = read_frozen(run_dir / FROZEN_NAME)
    composed = OmegaConf.create(_literal(literal.plain(config)))
    composed.hardware.slurm = OmegaConf.merge(SlurmConfig, composed.hardware.slurm)
    ConfigLoaderImpl._apply_overrides_to_config(overrides, composed)
    slurm = OmegaConf.to_object(composed.hardware.slurm)
    assert isinstance(slurm, SlurmConfig)
    config.hardware.slurm = slurm
    validate(config)
    return config


def _literal(tree: Any) -> Any:
    """Plain values as OmegaConf has to be told them: `${` in a frozen config is text."""
    if isinstance(tree, dict):
        return {key: _literal(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_literal(value) for value in tree]
    return unresolved(tree) if isinstance(tree, str) else tree
