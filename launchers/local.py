"""Starts a frozen run on this machine: in this process, or as one torchrun with a rank per GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sgg.config import HardwareConfig
from sgg.errors import SggError


def launch(frozen: Path, hardware: HardwareConfig, run_frozen: Callable[[Path], None]) -> None:
    """Run a frozen config to its end; `run_frozen` is what one rank does.

    Raises:
        SggError: the profile wants more GPUs than are here, or a rank failed.

    """
    if hardware.processes_per_node == 1:
        run_frozen(frozen)
        return
    _enough_gpus(hardware)
    code = _torchrun(frozen, hardware.processes_per_node)
    if code:
        raise SggError(
            f"A process of the run failed (exit code {code}). The first error stands in "
            f"{frozen.parent}/run*.log; go on with: sgg resume={frozen.parent}"
        )


def _enough_gpus(hardware: HardwareConfig) -> None:
    if not hardware.gpu:
        return
    import torch

    visible = torch.cuda.device_count()
    if visible < hardware.processes_per_node:
        raise SggError(
            f"hardware.processes_per_node={hardware.processes_per_node} with hardware.gpu=true, but "
            f"{visible} GPUs are visible. Take hardware=cpu, fewer processes, or a machine with GPUs."
        )


def _torchrun(frozen: Path, processes: int) -> int:
    """Exit code of torchrun; the first SIGINT or SIGTERM is passed on to the ranks."""
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
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
