"""`sgg status`: how the runs of a folder stand."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> None:
    """`sgg status DIR`: one line a run."""
    parser = argparse.ArgumentParser(
        prog="sgg status",
        description="How the runs of a sweep, a pipeline or a run folder stand: state, step, last "
        "metrics, restarts, log. Also while they run, and after their launcher is gone.",
    )
    parser.add_argument(
        "folder", type=Path, help="SWEEP_DIR, a point of it, a pipeline, or RUN_DIR"
    )
    folder = parser.parse_args(argv).folder
    from launchers.sweep.status import status_of
    from launchers.sweep.status_table import status_table
    from sgg.runs.sweep import resume_command

    status = status_of(folder)
    table, command = status_table(status), resume_command(folder)
    print(table)
    if status.can_go_on and command not in table:
        print(f"Resume with: {command}")
