"""Which evaluation of a training is the best, and whether others still gain on it.

Input: the evaluations so far, which a resumed run reads from metrics.jsonl. Output: a step, or how many
evaluations have gained nothing: the same for the same evaluations, so that a resumed run decides as an
undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sgg.metrics.names import is_better
from sgg.runs.progress import Curve, read_curves
from sgg.tracking.names import EVALUATED_STEP


@dataclass
class Record:
    """The evaluations of a run, in the order of their steps."""

    metric: str | None = None
    """The one by which they are compared; None where no checkpoint is kept for it."""
    values: dict[int, float] = field(default_factory=dict)
    """By step the value of the metric; NaN without one."""

    @staticmethod
    def read(run_dir: Path, metric: str | None) -> Record:
        """What metrics.jsonl holds.

        Raises:
            SggError: a row is of another form, or the file cannot be read.

        """
        record = Record(metric)
        for row in evaluations(read_curves(run_dir)):
            record.add(int(row[EVALUATED_STEP]), row)
        return record

    def add(self, step: int, row: Mapping[str, float | str]) -> None:
        """An evaluation, its metrics by their logged names (`eval/R`)."""
        value = row.get(f"eval/{self.metric}", math.nan)
        self.values[step] = math.nan if isinstance(value, str) else float(value)

    @property
    def best(self) -> int | None:
        """The step of the best one, the first of equals; not 0, for the start is no checkpoint."""
        best: int | None = None
        for step, value in self._compared():
            if best is None or self._gains(value, self.values[best]):
                best = step
        return best

    def without_gain(self) -> int:
        """Evaluations since the best one."""
        steps = [step for step, _ in self._compared()]
        return 0 if self.best is None else len(steps) - 1 - steps.index(self.best)

    def start_is_better(self) -> bool:
        """Whether the weights that training started from were better than the best checkpoint."""
        start, best = self.values.get(0, math.nan), self.best
        return best is not None and self._gains(start, self.values[best])

    def _compared(self) -> list[tuple[int, float]]:
        values = sorted(self.values.items())
        return [(step, value) for step, value in values if step > 0 and not math.isnan(value)]

    def _gains(self, value: float, than: float) -> bool:
        return self.metric is not None and is_better(self.metric, value, than)


def evaluations(rows: Iterable[Curve]) -> list[Curve]:
    """The rows of metrics.jsonl that hold an evaluation."""
    return [row for row in rows if not isinstance(row.get(EVALUATED_STEP, ""), str)]
