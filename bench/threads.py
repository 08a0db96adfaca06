"""How OpenMP's threads should wait for each other: `python bench/threads.py [--rounds 3] [--write]`.

A few steps of SFT and of GRPO with the tiny model, each way of waiting in turn: first on a machine with
nothing else to do, then beside a process that computes without end at a lower priority (nice 10).
Prints the median seconds of a run, start included, and their ratio to the system's own way; `--write`
puts the table into docs/hardware.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from page import put

from sgg.compat.openmp import SPIN, USERS

PAGE = Path(__file__).parents[1] / "docs" / "hardware.md"
SYSTEM = "the system's own"
WAYS: dict[str, dict[str, str]] = {
    SYSTEM: {"GOMP_SPINCOUNT": "300000"},  # libgomp's value where nothing is set
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "1,000 rounds (ours)": SPIN,
    "10,000 rounds": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
RUNS = {
    "SFT, 40 steps": ["stage=sft", "stage.args.max_steps=40"],
    "GRPO, 4 steps": ["stage=grpo", "stage.args.max_steps=4"],
}
LOADS = ("free", "beside one process")
BUSY = ["nice", "-n", "10", sys.executable, "-c", "while True: pass"]


@contextmanager
def load(name: str) -> Iterator[None]:
    busy = subprocess.Popen(BUSY) if name != LOADS[0] else None
    try:
        yield
    finally:
        if busy:
            busy.kill()
            busy.wait()


def seconds(words: list[str], way: dict[str, str]) -> float:
    kept = {k: v for k, v in os.environ.items() if k not in (*USERS, "OMP_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sgg", *words, f"paths.run_dir={folder}/run"]
        start = time.perf_counter()
        subprocess.run(command, env={**kept, **way}, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/hardware.md")
    chosen = parser.parse_args()
    columns = [(run, name) for run in RUNS for name in LOADS]
    taken: dict[tuple[str, str, str], list[float]] = {}
    for run, name in columns:
        with load(name):
            for _ in range(chosen.rounds):
                for way, environment in WAYS.items():
                    took = seconds(RUNS[run], environment)
                    taken.setdefault((run, name, way), []).append(took)
                    print(f"{run}, {name}, {way}: {took:.1f} s", flush=True)
    heads = [f"{run}, {name}" for run, name in columns]
    lines = [f"| threads wait | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for way in WAYS:
        cells = []
        for run, name in columns:
            mine, system = taken[run, name, way], taken[run, name, SYSTEM]
            ratio = statistics.median(a / b for a, b in zip(mine, system, strict=True))
            cells.append(f"{statistics.median(mine):.0f} s, {ratio:.2f} ×")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    print(table)
    if chosen.write:
        put("<!-- threads -->", table, PAGE)


if __name__ == "__main__":
    main()
