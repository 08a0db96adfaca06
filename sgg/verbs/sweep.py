"""`sgg sweep resume=SWEEP_DIR`: start again what did not finish."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.errors import SggError, nearest

KEYS = ("resume", "parallel", "wait")


def main(argv: list[str]) -> None:
    """`sgg sweep resume=SWEEP_DIR [parallel=N] [wait=true]`."""
    parser = argparse.ArgumentParser(
        prog="sgg sweep",
        description="Start again, by the same launcher and in the same folders, the runs of a sweep that "
        "are not finished, queued or running; they go on from their newest whole checkpoints.",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="key=value",
        help="resume=SWEEP_DIR; parallel=N points at once (as before); wait=true to stay (false)",
    )
    given = dict(_pair(word) for word in parser.parse_args(argv).words)
    if "resume" not in given:
        raise SggError("sgg sweep: resume=SWEEP_DIR must be given.")
    if given.get("wait", "false") not in ("true", "false"):
        raise SggError(f"wait={given['wait']}: allowed are true and false.")
    parallel = given.get("parallel")
    if parallel is not None and (not parallel.isdigit() or int(parallel) < 1):
        raise SggError(f"parallel={parallel}: must be a whole number, 1 or more.")
    from launchers.sweeps import resume_sweep

    wait = given.get("wait") == "true"
    resume_sweep(Path(given["resume"]), int(parallel) if parallel else None, wait)


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    if key not in KEYS:
        raise SggError(
            f"sgg sweep {word}: no such key.{nearest(key, KEYS)} Allowed: {', '.join(KEYS)}."
        )
    return key, value
