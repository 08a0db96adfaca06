"""Starts a frozen run on this machine: in this process, or as one torchrun with a rank per GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sgg.config import thaw
from sgg.errors import SggError


def launch(frozen: Path) -> Path:
    """Run to the end and return the run folder.

    Raises:
        SggError: a rank failed; the message names its log.

    """
    config = thaw(frozen)
    processes = config.hardware.processes_per_node
    if processes == 1:
        from sgg.main import run_frozen

        run_frozen(frozen)
    else:
        from sgg.weights import locate

        locate(
            config.model.path, config.model.revision
        )  # before ranks start: one message, not many
        _torchrun(frozen, processes)
    from sgg.report.build import write_report

    write_report(frozen.parent)
    return frozen.parent


def _torchrun(frozen: Path, processes: int) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(processes), "-m", "launchers.rank", str(frozen)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen(command, env=environment)

    def forward(number: int, frame: Any) -> None:
        child.send_signal(number)

    before = {s: signal.signal(s, forward) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if code:
        raise SggError(
            f"A process of the run failed (exit code {code}). The first error stands in "
            f"{frozen.parent}/run*.log; go on with resume={frozen.parent}."
        )
