"""`sgg report`: one HTML file about runs, pipelines and sweeps, or their table."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.cli.arguments import split_arguments, typed_folders
from sgg.cli.report_table import FORMATS, print_table
from sgg.errors import SggError

OWN = ("out", "images", "baseline")
_EPILOG = """\
arguments of this tool:
  out=DIR            where report.html goes (the folder; with several folders, the current one)
  images=N           images of the gallery, at most (1000)
  --format FORM      prints a table instead: md, csv or tex (LaTeX, booktabs); of a sweep by the overrides
                     that differ, seeds pooled, with 95 % intervals and a paired test against the baseline
  baseline=NAME      of a sweep or several runs: a point or run, or overrides such as reward=balanced (the
                     first one)

examples:
  sgg report runs/demo-20260101-120000
  sgg report runs/a runs/b out=compared
  sgg report multirun/my-sweep images=200
  sgg report multirun/my-sweep --format tex baseline=reward=balanced > table.tex"""


def main(argv: list[str]) -> None:
    """`sgg report FOLDER… [out=DIR] [images=N]`: write report.html."""
    parser = argparse.ArgumentParser(
        prog="sgg report",
        usage="sgg report FOLDER ... [out=DIR] [images=N] [baseline=NAME]\n"
        "       sgg report FOLDER ... --format FORM [baseline=NAME]",
        description="Write one self-contained HTML file about runs, pipelines and sweeps, or print a table.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="FOLDER", help="of runs, pipelines or sweeps")
    parser.add_argument("--format", choices=FORMATS, help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args(argv)
    own, others = split_arguments(args.words, OWN)
    folders = typed_folders(others, "sgg report", OWN)
    if args.format:
        print_table(folders, args.format, own)
        return
    from sgg.config.tree import cache_here
    from sgg.report.content.folders import runs_of
    from sgg.report.content.gallery import IMAGES
    from sgg.report.page import write_report
    from sgg.runs.signature import is_signed_run

    is_own = all(is_signed_run(run.path) for run in runs_of(folders))
    out = Path(own["out"]).expanduser() if "out" in own else None
    if out is None and len(folders) > 1:
        out = Path()
    cache = None if is_own else cache_here()
    images = _images(own.get("images"), IMAGES)
    print(write_report(folders, out, cache, images, own.get("baseline", "")))


def _images(typed: str | None, otherwise: int) -> int:
    if typed is None:
        return otherwise
    if not typed.isdecimal() or not 0 < int(typed) <= 20_000:
        raise SggError(f"images={typed}: a whole number from 1 to 20000.")
    return int(typed)
