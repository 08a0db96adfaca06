"""`sgg report`: one HTML file about a run."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> None:
    """`sgg report RUN_DIR`: write report.html."""
    parser = argparse.ArgumentParser(
        prog="sgg report", description="Write one self-contained HTML file about a run or pipeline."
    )
    parser.add_argument("run_dir", type=Path)
    from sgg.report.run_report import write_report

    print(write_report(parser.parse_args(argv).run_dir))
