"""What may still change when a sweep goes on: what its jobs ask of Slurm, and nothing of its science.

Comes in: words such as `hardware.slurm.time_min=240`. Goes out: the frozen configs of the runs that are
started again, with these keys changed and no other, and a record of it in sweep.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from launchers.sweep_file import SWEEP, ChangeRecord, RunRecord, SweepRecord
from sgg import literal
from sgg.config import FROZEN_NAME, Config, build_config, freeze
from sgg.errors import SggError
from sgg.overrides import read_words
from sgg.validate import validate

_OF_JOBS = "hardware.slurm."


def change_jobs(
    folder: Path, record: SweepRecord, runs: Sequence[RunRecord], active: int, words: Sequence[str]
) -> None:
    """Change what these runs of a sweep ask of Slurm: all of them, or none where one cannot be.

    Args:
        active: other runs of the sweep, which are queued or running.

    Raises:
        SggError: a word sets something else, is wrong, or would change nothing.

    """
    changes = {override.key_or_group: _value(override) for override in read_words(words)}
    said = " ".join(words)
    if record.launcher != "slurm":
        raise SggError(f"{said} changes nothing: this sweep runs without Slurm. Leave it out.")
    if not runs:
        raise SggError(
            f"{said} changes nothing: every run is finished, queued or running. What is queued or running "
            f"keeps what it asked for; end it first by: sgg cancel {folder}"
        )
    configs = {run.folder: _changed(folder / run.folder, changes) for run in runs}
    for name, config in configs.items():
        freeze(config, folder / name / FROZEN_NAME)
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    record.changes.append(ChangeRecord(time, list(words), list(configs)))
    record.write(folder)
    print(f"{said}: for {len(configs)} runs, as {SWEEP} records", flush=True)
    if active:
        print(f"{active} more are queued or running and keep what they asked for.", flush=True)


def _value(override: Override) -> Any:
    word, key = str(override.input_line).lstrip("+"), override.key_or_group
    if not key.startswith(_OF_JOBS):
        raise SggError(
            f"sgg sweep {word}: a run has one config from its first step to its last, or its numbers "
            f"could not be told apart, so only {_OF_JOBS}… can change when a sweep goes on. Start a new "
            f"sweep with {key}."
        )
    if override.is_delete():
        raise SggError(f"sgg sweep {word}: write {key}=VALUE; null leaves it to the cluster.")
    return override.value()


def _changed(run_dir: Path, changes: dict[str, Any]) -> Config:
    """A run's frozen config with other values, checked."""
    tree = literal.loads((run_dir / FROZEN_NAME).read_text(encoding="utf-8"))
    for key, value in changes.items():
        *above, name = key.split(".")
        node = tree
        for part in above:
            node = node.setdefault(part, {})
        node[name] = value
    config = build_config(tree)
    validate(config)
    return config
