"""What a tracker costs a step of GRPO: `python bench/tracking.py [WORD…]`, such as `tracker=trackio`.

One training of the tiny model in this process, with a tracker (wandb, offline) that gets every second block
of steps and not the blocks between. A step is timed from its beginning to that of the next, so all
that is logged, drawn and written lies within it; each block is compared with the mean of its two neighbours:
by the clock, and by the processor's time of this process and its children, which other work disturbs less.
Steps differ by more than a tracker costs, so the share of its own calls in a step is printed, too.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

BLOCK = 5
"""Steps."""

WORDS = ("stage=grpo", "tracker=wandb", "stage.args.max_steps=45")


class Now(NamedTuple):
    """Seconds."""

    clock: float
    processor: float


def now() -> Now:
    """By the clock, and what this process and its children have computed."""
    own = psutil.Process()
    used = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return Now(time.perf_counter(), sum(t.user + t.system for t in used))


@contextmanager
def timed(calls: list[float]) -> Iterator[None]:
    """Add the seconds of the block."""
    start = time.perf_counter()
    yield
    calls.append(time.perf_counter() - start)


def is_tracked(step: int) -> bool:
    """Whether the tracker gets a step, 1 for the first."""
    return (step - 1) // BLOCK % 2 == 1


def watch(begun: list[Now], calls: list[float]) -> None:
    """Note when steps begin and how long the tracker's calls take; keep it from every second block."""
    from sgg.tracking.open import Trackers
    from sgg.train.sample_tables import SampleTables
    from sgg.train.speed import StepClock

    log, tables, begin = Trackers.log, SampleTables.logged, StepClock.on_step_begin

    def logging(self: Trackers, values: dict[str, float], step: int) -> None:
        if is_tracked(step):
            with timed(calls):
                log(self, values, step)

    def showing(self: SampleTables, step: int, steps: int) -> None:
        if is_tracked(step):
            with timed(calls):
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
        if is_tracked(n * BLOCK + 1)
    ]


def main() -> None:
    words = [*WORDS, *sys.argv[1:]]
    os.environ.setdefault("WANDB_MODE", "offline")
    import launchers.local
    from sgg.main import main as sgg

    begun: list[Now] = []
    calls: list[float] = []
    watch(begun, calls)
    launchers.local.launch = lambda frozen, config, run_stage: run_stage(frozen)
    with tempfile.TemporaryDirectory() as folder:
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
            f"{name}: {statistics.mean(found):.3f} ± {spread:.3f} × of the time without "
            f"({len(found)} blocks of {BLOCK} steps, {step:.2f} s a step)"
        )
    pairs = itertools.pairwise(moment.clock for moment in begun)
    steps = [b - a for step, (a, b) in enumerate(pairs, 1) if is_tracked(step)]
    share, each = sum(calls) / sum(steps), sum(calls) / len(steps)
    print(f"the tracker's calls take {share:.2%} of a step, {each * 1000:.0f} ms")


if __name__ == "__main__":
    main()
