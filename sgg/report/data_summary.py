"""What a prepared split holds, as Markdown: for `sgg prepare`."""

from __future__ import annotations

from msgspec import convert

from sgg.data.prepared_split import Prepared
from sgg.data.summary import SplitReport, count_rows, issue_rows
from sgg.report.tables import markdown


def summary(split: str, prepared: Prepared) -> str:
    """Markdown: two tables, and before them what must not be overlooked."""
    report = convert(prepared.report, SplitReport)
    loud = [f"**Warning:** {sentence}" for sentence in prepared.warnings]
    issues = issue_rows(report)
    tables = [
        markdown(count_rows(split, report)),
        markdown(issues) if len(issues) > 1 else "Nothing is wrong.",
    ]
    return "\n\n".join([*loud, *tables, f"fingerprint {prepared.fingerprint}"])
