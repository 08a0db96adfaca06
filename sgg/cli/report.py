"""`sgg report`: one HTML file about a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.cli.arguments import split_arguments, typed_path
from sgg.errors import SggError


def main(argv: list[str]) -> None:
    """`sgg report RUN_DIR [out=DIR]`: write report.html."""
    parser = argparse.ArgumentParser(
        prog="sgg report",
        usage="sgg report RUN_DIR [out=DIR]",
        description="Write one self-contained HTML file about a run or pipeline.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="its folder")
    parser.add_argument(
        "overrides", nargs="*", metavar="out=DIR", help="where report.html goes (RUN_DIR)"
    )
    args = parser.parse_args(argv)
    own, others = split_arguments(args.overrides, ("out",))
    if others:
        raise SggError(
            f"{others[0]} would be ignored: the only argument of sgg report beside RUN_DIR is out=DIR."
        )
    from sgg.config.tree import cache_here
    from sgg.report.run_report import runs_in, write_report
    from sgg.runs.signature import is_signed_run

    folder = typed_path(args.run_dir)
    out = Path(own["out"]).expanduser() if "out" in own else None
    runs = runs_in(folder)
    is_own = all(is_signed_run(run_dir) for run_dir in runs)
    print(write_report(folder, runs, out, None if is_own else cache_here()))
