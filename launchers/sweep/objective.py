"""The number that a search improves: which ones a run has, and what a finished run's is.

An evaluation has its metrics, by their names in metrics.json. A training has its curves, of which the last
value counts. Of a pipeline the last step counts.
"""

from __future__ import annotations

import math
from pathlib import Path

from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig
from sgg.errors import SggError, did_you_mean
from sgg.metrics.names import metric_names
from sgg.runs.progress import last_value
from sgg.runs.records import read_metrics
from sgg.tracking.names import NAMES, entry_of, is_logged_by

_PLACES = ("TERM", "KIND", "METRIC")


def check_objective(name: str, config: Config) -> None:
    """Raise SggError unless a run of this config will have the number."""
    if isinstance(config.stage, EvalConfig):
        known = [*metric_names(config.protocol)]
        if name not in known:
            raise SggError(
                f"hydra.sweeper.objective={name}: no metric of protocol={config.protocol.id}."
                f"{did_you_mean(name.removeprefix('eval/'), known)} Such as R, mR, AP50 "
                "(docs/metrics.md)."
            )
        return
    stage = config.stage.name.name
    is_grpo = isinstance(config.stage, GrpoConfig)
    entry = entry_of(name)
    if entry is None or name.startswith("eval/") or {*_PLACES} & {*name.split("/")}:
        known = [e.name for e in NAMES if not {*_PLACES} & {*e.name.split("/")}]
        raise SggError(
            f"hydra.sweeper.objective={name}: stage={stage} logs no such number."
            f"{did_you_mean(name, known)} Such as {'reward/total/mean' if is_grpo else 'loss'} "
            "(docs/tracking.md)."
        )
    term = name.split("/")[1] if "TERM" in entry.name else "total"
    is_absent = term != "total" and term not in config.reward.terms
    if is_absent or not is_logged_by(config.stage.name, name):
        raise SggError(
            f"hydra.sweeper.objective={name}: stage={stage} does not log it here."
            + (f"{did_you_mean(term, config.reward.terms)}" if is_grpo and is_absent else "")
        )


def objective_of(name: str, run_dir: Path) -> float:
    """The number of a finished run.

    Raises:
        SggError: it has none, or one that is not finite.

    """
    metrics = read_metrics(run_dir)
    value = last_value(run_dir, name) if metrics is None else metrics.metrics.get(name)
    if value is None or not math.isfinite(value):
        shown = "has no" if value is None else f"has {value} as"
        raise SggError(f"{run_dir} {shown} {name}, which the search is to improve.")
    return float(value)
