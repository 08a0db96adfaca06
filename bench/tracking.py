"""What a tracker costs a step of GRPO: `python bench/tracking.py [TRACKER] [STEPS]`.

One training of the tiny model in this process, with a tracker (wandb, offline) that is told of every second
block of steps and not of the blocks between. A step is timed from its beginning to that of the next, so all
that is logged, drawn and written lies within it; each block is compared with the mean of its two neighbours:
by the clock, and by the processor's time of this process and its children, which other work disturbs less.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

BLOCK = 5
"""Steps."""

SMALL = (
    "stage=grpo",
    "stage.prompts_per_step=4",
    "stage.args.num_generations=4",
    "stage.args.max_completion_length=64",
)
"""Steps as short as they may be: the shorter, the more a tracker costs beside them."""


class Now(NamedTuple):
    """Seconds."""

    clock: float
    processor: float


def now() -> Now:
    """By the clock, and what this process and its children have computed."""
    own = psutil.Process()
    used = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return Now(time.perf_counter(), sum(t.user + t.system for t in used))


def is_told(step: int) -> bool:
    """Whether the tracker is told of a step, 1 for the first."""
    return (step - 1) // BLOCK % 2 == 1


def watch(begun: list[Now]) -> None:
    """Note when each step begins, and keep the tracker from every second block."""
    from sgg.tracking.open import Trackers
    from sgg.train.sample_tables import SampleTables
    from sgg.train.speed import StepClock

    log, tables, begin = Trackers.log, SampleTables.logged, StepClock.on_step_begin

    def logging(self: Trackers, values: dict[str, float], step: int) -> None:
        if is_told(step):
            log(self, values, step)

    def showing(self: SampleTables, step: int, steps: int) -> None:
        if is_told(step):
            tables(self, step, 2 * steps)  # half of the steps: half of the tables

    def beginning(self: StepClock, *args: Any, **kwargs: Any) -> None:
        begun.append(now())
        begin(self, *args, **kwargs)

    Trackers.log, SampleTables.logged = logging, showing  # type: ignore[method-assign]
    StepClock.on_step_begin = beginning  # type: ignore[method-assign]


def ratios(begun: list[float]) -> list[float]:
    """Of each block with a tracker, its time beside that of the blocks around it."""
    count = (len(begun) - 1) // BLOCK
    blocks = [begun[(n + 1) * BLOCK] - begun[n * BLOCK] for n in range(count)]
    return [
        2 * blocks[n] / (blocks[n - 1] + blocks[n + 1])
        for n in range(1, count - 1)
        if is_told(n * BLOCK + 1)
    ]


def main() -> None:
    tracker, steps = [*sys.argv[1:3], *["wandb", "125"][len(sys.argv) - 1 :]]
    os.environ.setdefault("WANDB_MODE", "offline")
    import launchers.local
    from sgg.main import main as sgg

    begun: list[Now] = []
    watch(begun)
    launchers.local.launch = lambda frozen, config, run_stage: run_stage(frozen)
    with tempfile.TemporaryDirectory() as folder:
        words = [*SMALL, f"tracker={tracker}", f"stage.args.max_steps={steps}"]
        sys.argv = ["sgg", *words, f"paths.run_dir={Path(folder) / 'run'}"]
        try:
            sgg()
        except SystemExit as end:  # a success, too
            if end.code:
                raise
    for name in Now._fields:
        times = [getattr(moment, name) for moment in begun]
        found = ratios(times)
        spread = statistics.stdev(found) / len(found) ** 0.5
        step = statistics.median(b - a for a, b in itertools.pairwise(times))
        print(
            f"{tracker}, {name}: {statistics.mean(found):.3f} ± {spread:.3f} × of the time without "
            f"({len(found)} blocks of {BLOCK} steps, {step:.2f} s a step)"
        )


if __name__ == "__main__":
    main()
