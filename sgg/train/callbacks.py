"""What happens beside the steps: curves, the progress bar, epochs passed to the rows, clean stops."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from sgg.distributed import Ranks
from sgg.files import write_json, write_whole
from sgg.runs.folder import CURVES, TOTAL, append_json, read_json_lines
from sgg.runs.training_samples import forget_samples_after
from sgg.tracking.names import FAILED, TOTAL_REWARD, renamed
from sgg.tracking.open import Trackers
from sgg.train.sample_tables import SampleTables
from sgg.train.speed import StepClock

log = logging.getLogger("sgg")

_SHOWN = {
    "loss": "loss",
    TOTAL_REWARD: "reward",
    FAILED: "failed",
    "grad_norm": "grad_norm",
}
"""Numbers beside the progress bar, and what it calls them."""


class MetricsCallback(TrainerCallback):  # type: ignore[misc]
    """Logged numbers go to RUN_DIR/metrics.jsonl and to the tracker; main process only."""

    def __init__(
        self, run_dir: Path, tracker: Trackers, clock: StepClock, tables: SampleTables
    ) -> None:
        self._path = run_dir / CURVES
        self._tracker, self._clock, self._tables = tracker, clock, tables

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget what was logged after the checkpoint that this start resumes from.

        The tracker is handed the rest again: a killed process has not stored its last seconds there.
        """
        if not state.is_world_process_zero:
            return
        write_json(self._path.with_name(TOTAL), {"steps": state.max_steps})
        rows = [r for r in read_json_lines(self._path) if r["step"] <= state.global_step]
        write_whole(self._path, "".join(json.dumps(r) + "\n" for r in rows))
        forget_samples_after(self._path.parent, state.global_step)
        hand_over(rows, self._tracker, self._tables, state.max_steps)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Append one row."""
        if not state.is_world_process_zero or not logs:
            return
        row = {k: v for k, v in renamed(logs).items() if isinstance(v, (int, float))}
        self.record(row | self._clock.measured(row.get("tokens")), state.global_step)
        self._tables.logged(state.global_step, state.max_steps)

    def record(self, row: Mapping[str, float], step: int) -> None:
        """Append a row of numbers by their names (`tracking.names`); the main process calls it."""
        finite = {k: v for k, v in row.items() if math.isfinite(v)}
        for name in row.keys() - finite.keys():
            log.warning("step %d: %s is %s", step, name, row[name])
        # JSON has no such numbers: "nan", "inf" and "-inf" stand as text
        words = {k: v if k in finite else str(v) for k, v in row.items()}
        append_json(self._path, {"step": step, **words})
        self._tracker.log(finite, step)


def hand_over(
    rows: list[dict[str, Any]], tracker: Trackers, tables: SampleTables, steps: int
) -> None:
    """Rows of metrics.jsonl, and samples between them, to the trackers, which leave out what they have."""
    for row in rows:  # numbers that are not finite stand there as text
        numbers = {k: v for k, v in row.items() if k != "step" and not isinstance(v, str)}
        tracker.log(numbers, row["step"])
        tables.logged(row["step"], steps)


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """One bar over all steps, with the numbers that tell how it goes."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar at the step that this start resumes from."""
        if state.is_world_process_zero:
            self._bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                desc=self._description,
                unit="step",
                mininterval=1.0,
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One step further."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Show the latest numbers."""
        if self._bar is not None and logs:
            numbers = renamed(logs)
            kept = {shown: numbers.get(name) for name, shown in _SHOWN.items()}
            shown = {name: f"{value:.3g}" for name, value in kept.items() if value is not None}
            self._bar.set_postfix(shown, refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


class EpochCallback(TrainerCallback):  # type: ignore[misc]
    """Passes the epoch that begins to whoever depends on it."""

    def __init__(self, on_epoch: Callable[[int], None]) -> None:
        self._on_epoch = on_epoch

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Runs before the epoch's loader is started, also in a resumed epoch."""
        self._on_epoch(int(state.epoch or 0))


class StopOnSignalCallback(TrainerCallback):  # type: ignore[misc]
    """SIGINT, SIGTERM and SIGUSR2 end the run at the next step boundary, with a checkpoint.

    A second signal of the same kind acts as usual where nobody supervises the ranks; where somebody does,
    Slurm and the supervisor send the same one, and it is the supervisor who kills. `period` is the number
    of steps that reuse one batch of completions (GRPO's num_iterations): a checkpoint between them could not
    be resumed exactly.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)

    def __init__(self, ranks: Ranks, period: int = 1) -> None:
        self._ranks = ranks
        self._period = period
        self._supervised = "RANK" in os.environ
        self.received = 0
        """The signal that some rank got; 0 for none."""
        self.stopped_at: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handlers are in place inside the block."""
        before = {s: signal.signal(s, self._note) for s in self.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        self.received = number
        if not self._supervised:
            signal.signal(number, signal.SIG_DFL)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """All ranks agree, save and stop together: one that stopped alone would leave the rest hanging."""
        self.received = self._ranks.largest(self.received)
        if not self.received or state.global_step % self._period:
            return control
        if state.global_step < state.max_steps:
            self.stopped_at = state.global_step
            control.should_save = True
            control.should_training_stop = True
        return control
