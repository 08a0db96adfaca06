"""`sgg cancel`: end what a sweep has queued or running."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sgg.cli.arguments import is_trusted, split_arguments
from sgg.errors import SggError, counted


def main(argv: list[str]) -> None:
    """`sgg cancel SWEEP_DIR [trust=true]`: running runs save first; finished ones are left alone."""
    parser = argparse.ArgumentParser(
        prog="sgg cancel",
        description="End what is queued or running. Runs save first where they can, and "
        "`sgg resume SWEEP_DIR` resumes them.",
    )
    parser.add_argument("folder", type=Path, help="SWEEP_DIR, or one point of it")
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="trust=true",
        help="end what is of the sweep though you have not made it",
    )
    args = parser.parse_args(argv)
    folder, (own, others) = args.folder, split_arguments(args.arguments, ("trust",))
    if others:
        raise SggError(
            f"{others[0]} would be ignored: the only argument of sgg cancel beside DIR is trust=true."
        )
    from launchers.sweep.cancel import cancel_sweep
    from sgg.runs.folder import PIPELINE

    count = cancel_sweep(folder, is_trusted(own))
    is_step = (folder.resolve().parent / PIPELINE).is_file()  # those behind it are cancelled, too
    whole = folder.resolve().parent if is_step else folder
    resume_command = f" Resume with: {shlex.join(['sgg', 'resume', str(whole)])}" if count else ""
    print(f"{counted(count, 'run')} cancelled.{resume_command}")
