"""Puts a made table into a page of the docs, between two equal marks."""

from __future__ import annotations

from pathlib import Path

REWARDS, METRICS = (
    Path(__file__).parents[1] / "docs" / name for name in ("rewards.md", "metrics.md")
)


def put(mark: str, made: str, page: Path = REWARDS) -> None:
    before, _, rest = page.read_text().partition(mark)
    _, _, after = rest.partition(mark)
    page.write_text(f"{before}{mark}\n{made}\n{mark}{after}")
