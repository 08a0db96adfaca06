"""Metrics of several runs side by side, as a Markdown table that a terminal shows as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sgg.runs.records import Metrics

COLUMNS = {
    "failure_rate": "failure rate",
    "R": "triplet recall",
    "mR": "mean recall",
    "AP50": "AP@50",
}
"""The numbers that tell how a run went, by their key in metrics.json."""


def metrics_table(runs: Mapping[str, Metrics | None]) -> str:
    """One row a run; recall with its 95 % interval; a run without metrics is said to have none."""
    rows = [["run", *COLUMNS.values(), "images"]]
    for name, content in runs.items():
        if content is None:
            rows.append([name, *["not scored"] * len(COLUMNS), ""])
            continue
        cells = []
        for key in COLUMNS:
            value = f"{content.metrics[key]:.3f}"
            if interval := content.intervals.get(key):
                low, high = interval
                value += f" [{low:.3f}, {high:.3f}]"
            cells.append(value)
        rows.append([name, *cells, str(content.images)])
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Aligned Markdown; the first row is the head. A bar inside a cell is escaped."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])
