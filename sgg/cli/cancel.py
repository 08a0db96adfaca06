"""`sgg cancel`: end what a sweep has queued or running."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sgg.errors import counted
from sgg.runs.folder import PIPELINE


def main(argv: list[str]) -> None:
    """`sgg cancel SWEEP_DIR`: what runs saves first; what is finished stays."""
    parser = argparse.ArgumentParser(
        prog="sgg cancel",
        description="End what is queued or running. Runs save first where they can, and "
        "`sgg resume SWEEP_DIR` resumes them.",
    )
    parser.add_argument("folder", type=Path, help="SWEEP_DIR, or one point of it")
    folder = parser.parse_args(argv).folder
    from launchers.sweep.cancel import cancel_sweep

    count = cancel_sweep(folder)
    is_step = (folder.resolve().parent / PIPELINE).is_file()  # those behind it are cancelled, too
    whole = folder.resolve().parent if is_step else folder
    resume_command = f" Resume with: {shlex.join(['sgg', 'resume', str(whole)])}" if count else ""
    print(f"{counted(count, 'run')} cancelled.{resume_command}")
