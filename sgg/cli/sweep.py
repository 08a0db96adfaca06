"""`sgg sweep resume=SWEEP_DIR`: start again what did not finish."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.cli.arguments import split_words
from sgg.config.tree import groups
from sgg.errors import SggError, did_you_mean

KEYS = ("resume", "parallel", "retries", "wait")
_EPILOG = """\
words:
  resume=SWEEP_DIR          (must be given)
  parallel=N                points at once (as before)
  retries=N                 how often a run that fails is started again by itself (as before)
  wait=true                 stay until all have ended (false)
  hardware.slurm.KEY=VALUE  what the jobs ask of Slurm from now on, such as hardware.slurm.time_min=240;
                            kept in sweep.json. No other key of a run can change."""


def main(argv: list[str]) -> None:
    """`sgg sweep resume=SWEEP_DIR [parallel=N] [retries=N] [wait=true] [hardware.slurm.KEY=VALUE …]`."""
    parser = argparse.ArgumentParser(
        prog="sgg sweep",
        usage="sgg sweep resume=SWEEP_DIR [key=value ...]",
        description="Start again, by the same launcher and in the same folders, the runs of a sweep that "
        "are not finished, queued or running; they go on from their newest whole checkpoints.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="key=value", help=argparse.SUPPRESS)
    given, changes = split_words(parser.parse_args(argv).words, KEYS)
    for word in changes:
        key = word.partition("=")[0]
        if (
            "." not in key and key not in groups()
        ):  # what a run has and may not change is told later
            raise SggError(
                f"sgg sweep {word}: no such key.{did_you_mean(key, KEYS)} Allowed: "
                f"{', '.join(KEYS)}, hardware.slurm.…."
            )
    if "resume" not in given:
        raise SggError("sgg sweep: resume=SWEEP_DIR must be given.")
    if given.get("wait", "false") not in ("true", "false"):
        raise SggError(f"wait={given['wait']}: allowed are true and false.")
    parallel, retries = _number(given, "parallel", 1), _number(given, "retries", 0)
    from launchers.sweep.commands import Resuming, resume_sweep

    how = Resuming(parallel, retries, given.get("wait") == "true", tuple(changes))
    resume_sweep(Path(given["resume"]), how)


def _number(given: dict[str, str], key: str, lowest: int) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not value.isdigit() or int(value) < lowest:
        raise SggError(f"{key}={value}: must be a whole number, {lowest} or more.")
    return int(value)
