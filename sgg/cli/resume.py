"""`sgg resume DIR`: resume a run, a pipeline or a sweep."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sgg.cli.arguments import is_true, is_trusted, split_arguments, typed_path
from sgg.config.tree import groups
from sgg.errors import SggError, did_you_mean

KEYS = ("parallel", "retries", "wait", "trust")
_EPILOG = """\
DIR may be
  a run        resumes from its newest complete checkpoint, with its frozen config
  a pipeline   runs the steps that are not finished, with their frozen configs
  a sweep      starts again, by the same launcher, what is not finished, queued or running; also one point
               or one run of it. A finished run inside a sweep starts nothing; it sends the tracker
               the steps that are missing there

arguments:
  trust=true                accept a folder that you have not made: another user's, an earlier version's,
                            or one changed by hand. Without it sgg says what the folder would run

overrides, for a sweep:
  parallel=N                points at once (as before)
  retries=N                 how many times a failed run is restarted automatically (as before)
  wait=true                 stay until all have ended (false)
  hardware.slurm.KEY=VALUE  what the jobs ask of Slurm from now on, such as hardware.slurm.time_min=240;
                            kept in sweep.json. No other key of a run can change.

examples:
  sgg resume runs/my-run
  sgg resume runs/my-sweep hardware.slurm.time_min=240"""


def main(argv: list[str]) -> None:
    """`sgg resume DIR [trust=true] [parallel=N] [retries=N] [wait=true] [hardware.slurm.KEY=VALUE …]`."""
    parser = argparse.ArgumentParser(
        prog="sgg resume",
        usage="sgg resume DIR [key=value ...]",
        description="Resume a run, a pipeline or a sweep, in the same folders.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    from launchers.kinds import Kind, kind_of

    folder = typed_path(args.folder)
    kind = kind_of(folder)
    if kind is Kind.sweep:
        _resume_sweep(folder, args.overrides)
        return
    own, others = split_arguments(args.overrides, ("trust",))
    if others:
        raise SggError(
            f"{shlex.join(others)} would be ignored: what is resumed is the frozen config of {folder}. "
            "Leave it out, or start a new run."
        )
    if kind is Kind.pipeline:
        from launchers.local_pipeline import resume_pipeline

        resume_pipeline(folder, is_trusted(own))
    else:
        from launchers.local import resume_run

        resume_run(folder, is_trusted(own))


def _resume_sweep(folder: Path, overrides: list[str]) -> None:
    given, changes = split_arguments(overrides, KEYS)
    for word in changes:
        key = word.partition("=")[0]
        if "." not in key and key not in groups():  # what may not change is reported later
            raise SggError(
                f"sgg resume {word}: no such key.{did_you_mean(key, KEYS)} Allowed: "
                f"{', '.join(KEYS)}, hardware.slurm.…."
            )
    wait, trust = is_true(given, "wait"), is_trusted(given)
    parallel, retries = _number(given, "parallel", 1), _number(given, "retries", 0)
    from launchers.sweep.commands import Resuming, resume_sweep

    resume_sweep(folder, Resuming(parallel, retries, wait, tuple(changes), trust))


def _number(given: dict[str, str], key: str, lowest: int) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not value.isdigit() or int(value) < lowest:
        raise SggError(f"{key}={value}: must be a whole number, {lowest} or more.")
    return int(value)
