"""Starts a frozen run on this machine: in this process, or as one torchrun with a rank per GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sgg.errors import SggError, Stopped
from sgg.hardware import HardwareConfig


def launch(frozen: Path, hardware: HardwareConfig, run_frozen: Callable[[Path], None]) -> None:
    """Run a frozen config to its end; `run_frozen` is what one rank does.

    Raises:
        SggError: the profile wants more GPUs than are here, or a rank failed.
        Stopped: a signal ended the ranks.

    """
    if hardware.processes_per_node == 1 and not hardware.gpu:
        run_frozen(frozen)
        return
    # a GPU run has a process of its own even when alone: it sees one GPU, and frees it when it ends
    _enough_gpus(hardware)
    code, signal_number = _torchrun(frozen, hardware.processes_per_node)
    if signal_number is not None:
        raise Stopped(f"Stopped. Go on with: sgg resume={frozen.parent}", signal_number)
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


SAVING_TIME_S = 3600
"""How long ranks may take to finish their step and write a checkpoint after a signal, seconds."""


def _torchrun(frozen: Path, processes: int) -> tuple[int, int | None]:
    """Exit code of torchrun, and the signal that stopped it, if one did.

    The first SIGINT, SIGTERM or SIGUSR2 is passed on to the ranks, once (torchrun has a session of its
    own, so a terminal's Ctrl-C does not reach it a second time); the next one kills them.
    """
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(processes), "--shutdown-timeout", str(SAVING_TIME_S)),
        *("-m", "launchers.rank", str(frozen)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    received: list[int] = []

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        if len(received) == 1:
            child.send_signal(signal.SIGTERM if number == signal.SIGUSR2 else number)
        else:
            for process in [*psutil.Process(child.pid).children(recursive=True), child]:
                process.kill()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
    before = {s: signal.signal(s, forward) for s in numbers}
    try:
        code = child.wait()
        return code, received[0] if received and code else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
