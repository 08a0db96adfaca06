"""Markdown tables: what stands in which cell, and that they are aligned."""

from __future__ import annotations

from sgg.report.tables import COLUMNS, markdown, metrics_table
from sgg.runs.records import Metrics, ProtocolName

METRICS = {"failure_rate": 0.0416, "R": 0.35449, "mR": 0.3, "AP50": 1.0, "precision": 0.9}


def cells(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def test_a_row_per_run_with_three_digits_and_the_interval_where_there_is_one():
    content = Metrics(
        500, 500, 400, 900, METRICS, {"R": [0.3, 0.41256]}, {}, {}, ProtocolName("sgg")
    )
    head, rule, sft, grpo = cells(metrics_table({"sft": content, "grpo": None}))
    assert head == ["run", *COLUMNS.values(), "images"]
    assert set("".join(rule)) == {"-"}
    assert sft == ["sft", "0.042", "0.354 [0.300, 0.413]", "0.300", "1.000", "500"]
    assert grpo == ["grpo", *["not scored"] * 4, ""]


def test_every_line_is_as_wide_as_the_widest_cells():
    text = markdown([["a", "long head"], ["longer than a", "b"]])
    assert text == (
        "| a             | long head |\n"
        "|---------------|-----------|\n"
        "| longer than a | b         |"
    )
