"""`sgg watch`: a live look at the runs of a folder, in a terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.cli.arguments import is_true, split_arguments, typed_path
from sgg.errors import SggError, did_you_mean

_SHORTEST_S = 0.5
_EPILOG = """\
DIR may be a run, a pipeline (its steps, and the active one whole), a sweep (a line a point; ↑ ↓ and Enter
follow one) or a point of a sweep. It may run on another machine that shares the disk, still queue, or have
ended.

arguments:
  every=SECONDS   between two looks (2); Slurm is asked at most every ten seconds
  once=true       one look as plain text, then end; also where the output is no terminal

examples:
  sgg watch runs/my-run
  sgg watch runs/my-sweep every=10
  sgg watch runs/my-sweep/points/003_seed-2 once=true"""


def main(argv: list[str]) -> None:
    """`sgg watch DIR [every=SECONDS] [once=true]`."""
    parser = argparse.ArgumentParser(
        prog="sgg watch",
        usage="sgg watch DIR [every=SECONDS] [once=true]",
        description="How runs go on: state, step, time left, curves, the last sample. Ends when they "
        "have ended; q or Ctrl-C ends the watching alone.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", metavar="key=value", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    own, others = split_arguments(args.arguments, ("every", "once"))
    if others:
        raise SggError(
            f"{others[0]} would be ignored: the arguments of sgg watch beside DIR are every= and once=."
        )
    every_s, once = _seconds(own.get("every", "2")), is_true(own, "once")
    folder = typed_path(args.folder)
    _refuse_absent(folder)
    from launchers.watch.follow import watch

    watch(folder, every_s, once)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_S <= seconds <= 3600:
        raise SggError(f"every={text}: must be a number of seconds, {_SHORTEST_S:g} to 3600.")
    return seconds


def _refuse_absent(folder: Path) -> None:
    """Raise SggError where there is no such folder, as before a run begins."""
    if folder.is_dir():
        return
    if folder.exists():
        raise SggError(f"{folder}: a file. Give the folder of a run, a pipeline or a sweep.")
    parent = folder.parent
    beside = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    raise SggError(
        f"{folder}: there is no such folder.{did_you_mean(folder.name, beside)} A run makes its folder when "
        "it begins, a command with hydra/launcher=slurm when it submits the jobs; both print its name."
    )
