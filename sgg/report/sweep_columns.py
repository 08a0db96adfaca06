"""Which numbers the table of a sweep has: metrics of evaluations, or what trainings are judged by."""

from __future__ import annotations

from collections.abc import Sequence

from sgg.metrics.names import LOWER_IS_BETTER
from sgg.report.scored_runs import ScoredRun
from sgg.report.tables import COLUMNS
from sgg.runs.search import SearchRecord
from sgg.tracking.names import LOSS

_LOWER_IS_BETTER = LOWER_IS_BETTER | {LOSS}


def columns(runs: Sequence[ScoredRun]) -> dict[str, str]:
    """Title by name: `COLUMNS`, unless all results are of trainings, and what else the runs have."""
    found = dict.fromkeys(key for run in runs for key in run.values)
    of_trainings = bool(found) and all(run.metrics is None for run in runs)
    usual = {} if of_trainings else COLUMNS
    return {**usual, **{key: key for key in found if key not in usual}}


def lower_is_better(search: SearchRecord | None) -> frozenset[str]:
    """The numbers of which less is better; of the one that a search improves, it says."""
    if search is None:
        return _LOWER_IS_BETTER
    objective = {search.objective}
    others = _LOWER_IS_BETTER - objective
    return others | objective if search.direction == "minimize" else others
