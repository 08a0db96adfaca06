"""How long a sweep of 100 points takes to its one `sbatch`, beside one point: `python bench/sweep.py`.

sbatch is a stand-in that answers at once: what is measured is composing, checking and freezing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ["stage=sft", "hydra/launcher=slurm", "stage.optimizer.kind=trl"]


def seconds(points: int, folder: Path) -> float:
    """From the command to the first call of sbatch."""
    bin_folder, called = folder / "bin", folder / "called"
    bin_folder.mkdir()
    stand_in = bin_folder / "sbatch"
    stand_in.write_text(f"#!/bin/sh\ndate +%s.%N >> {called}\necho 1\n")
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    words = ["-m", *WORDS, f"seed=range({points})", f"paths.sweep_dir={folder / 'sweep'}"]
    start = time.time()
    command = [sys.executable, "-m", "sgg", *words]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    [first] = called.read_text().split()  # one call, however many points
    return float(first) - start


def main() -> None:
    taken = {}
    for points in (1, 100):
        with tempfile.TemporaryDirectory() as folder:
            taken[points] = seconds(points, Path(folder))
    print(
        f"1 point {taken[1]:.2f} s, 100 points {taken[100]:.2f} s to the first and only sbatch, "
        f"ratio {taken[100] / taken[1]:.1f}"
    )


if __name__ == "__main__":
    main()
