"""What may still change when a sweep goes on: what its jobs ask of Slurm, and nothing of its science.

Comes in: words such as `hardware.slurm.time_min=240`. Goes out: the frozen configs of the runs that are
started again, with these keys changed and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from sgg import literal
from sgg.config import FROZEN_NAME, build_config
from sgg.errors import SggError
from sgg.overrides import read_words
from sgg.validate import validate

_OF_JOBS = "hardware.slurm."


def read_changes(words: Sequence[str]) -> dict[str, Any]:
    """Values by key.

    Raises:
        SggError: a word sets something else than what jobs ask of Slurm, or cannot be read.

    """
    return {override.key_or_group: _value(override) for override in read_words(words)}


def _value(override: Override) -> Any:
    word, key = str(override.input_line).lstrip("+"), override.key_or_group
    if not key.startswith(_OF_JOBS):
        raise SggError(
            f"sgg sweep {word}: a run has one config from its first step to its last, or its numbers "
            f"could not be told apart, so only {_OF_JOBS}… can change when a sweep goes on. Start a new "
            f"sweep with {key}."
        )
    if override.is_delete():
        raise SggError(
            f"sgg sweep {word}: write {key}=VALUE instead; null leaves it to the cluster."
        )
    return override.value()


def changed_config(run_dir: Path, changes: dict[str, Any]) -> str:
    """The text of a run's frozen config with other values; writes nothing.

    Raises:
        SggError: a value is of the wrong type, there is no such key, or the job could not run.

    """
    tree = literal.loads((run_dir / FROZEN_NAME).read_text(encoding="utf-8"))
    for key, value in changes.items():
        *above, name = key.split(".")
        node = tree
        for part in above:
            node = node.setdefault(part, {})
        node[name] = value
    validate(build_config(tree))
    return literal.dumps(tree)


def write_config(run_dir: Path, text: str) -> None:
    """Put the text in the place of the run's frozen config, whole."""
    partial = run_dir / f"{FROZEN_NAME}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(run_dir / FROZEN_NAME)
