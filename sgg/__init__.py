"""sgg: scene graph generation with vision-language models, by SFT and reinforcement learning.

`sgg.run` is the command line for Python: for notebooks and scripts.
"""

__version__ = "0.1.0"

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from sgg.compat.openmp import wait_briefly
from sgg.compat.torchvision import declare_when_described

wait_briefly()
declare_when_described()


class Run(NamedTuple):
    """What `run` has left."""

    folder: Path
    """The run folder; of a pipeline the one that holds its steps'."""
    metrics: dict[str, float]
    """What `stage=eval` has scored; empty for other stages and for a pipeline."""


def run(overrides: Sequence[str]) -> Run:
    """Run what `sgg key=value …` would with these words, in this process or its children, to the end.

    Example: `sgg.run(["stage=eval", "data.eval.limit=100"]).metrics["R"]`.

    Raises:
        SggError: the overrides are wrong, something is missing, or the run has failed.

    """
    folder, metrics = import_module("sgg.main").run(list(overrides))  # which imports Hydra
    return Run(folder, metrics)
