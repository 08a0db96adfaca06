"""`sgg report … --format`: the table of a sweep or of several runs, printed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgg.errors import SggError

FORMATS = ("md", "csv", "tex")


def print_table(folders: Sequence[Path], form: str, own: Mapping[str, str]) -> None:
    """Print the table; of CSV, which has no place for them, the notes go to stderr.

    Args:
        folders: a sweep's, or those of runs and pipelines.
        form: one of `FORMATS`.
        own: arguments of `sgg report`; `baseline` is read.

    """
    from sgg.report.sweep_summary import runs_summary
    from sgg.report.sweep_table import notes, sweep_table

    for key in own.keys() - {"baseline"}:
        raise SggError(
            f"{key}=… would be ignored: --format prints a table. Redirect it: > table.{form}"
        )
    summary = runs_summary(folders, own.get("baseline", ""))
    print(sweep_table(summary, form))
    if form == "csv":
        print("\n".join(notes(summary)), file=sys.stderr)
