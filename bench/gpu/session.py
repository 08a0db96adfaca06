"""Where and on what the parts of `check.py` run, and how they start commands."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turn import SHORTEST_S

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Failed(Exception):
    """A part did not hold, or could not be run; the message says why."""


@dataclass
class Check:
    """Where and on what the parts run."""

    device: str
    out: Path
    work: Path
    """For models and run folders: 40 GB."""
    until: float
    """When no part may run any longer, Unix time."""
    results: dict[str, Any] = field(default_factory=dict)
    writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def lock(self) -> Path:
        return self.work / "gpu.lock"

    @property
    def logs(self) -> Path:
        return self.work / "logs"

    @property
    def runs(self) -> Path:
        """Run folders, made anew by each check."""
        return self.work / "runs"

    def words(self, *more: str) -> list[str]:
        """The command-line words of a run of true size: the same data for all, then `more`."""
        side = 640 if self.gpu else 112
        return [
            "data=shapes",
            f"data.shapes.side={side}",
            f"data.shapes.max_objects={6 if self.gpu else 3}",
            f"data.shapes.min_side={side // 10}",
            f"data.shapes.max_side={side // 3}",
            "data.train.limit=64",
            "data.eval.limit=16",
            "tracker=none",
            f"paths.root={self.runs}",
            f"paths.cache={self.work}/cache",
            *more,
        ]

    def run(self, name: str, command: list[str]) -> str:
        """What a command prints; its log is kept.

        Raises:
            Failed: no time is left, or it ended with an error.

        """
        left = self.until - time.time()
        if left < SHORTEST_S:
            raise Failed("no time left")
        log = self.logs / f"{name}.log"
        with log.open("w") as file:
            try:
                code = subprocess.run(
                    [sys.executable, *command],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=left,
                    cwd=ROOT,
                    env=environment(),
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise Failed(f"not done in {left:.0f} s") from None
        text = log.read_text(errors="replace")
        if code:
            raise Failed(f"exit code {code}: {last_line(text)}")
        return text

    def on_gpu(self, name: str, seconds: float, *command: str) -> str:
        """What a script of this folder prints that waits for its turn on the GPU, and ends in time.

        Args:
            seconds: the length of its turn at most; it stops 5 seconds before the check does.

        """
        script, *words = command
        limits = [f"--lock={self.lock}", f"--seconds={seconds}", f"--until={self.until - 5}"]
        return self.run(name, [str(HERE / script), *limits, *words])

    def sgg(self, name: str, *words: str) -> str:
        return self.run(name, ["-m", "sgg", *words])


def environment() -> dict[str, str]:
    """Of what is started: it imports this checkout and asks no hub."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
