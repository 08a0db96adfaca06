"""The terminal's table of one evaluation."""

from __future__ import annotations

from sgg.report.score_table import score_table

CONTENT = {
    "protocol": {"id": "sgg", "cutoffs": [20], "quirks": ["none to speak of"]},
    "images": 3,
    "completions": 3,
    "gold_relations": 7,
    "metrics": {"R@20": 0.25, "R": 0.5, "failure_rate": 0.125},
    "intervals": {"R@20": [0.1, 0.4]},
    "mapped": {"R@20": 0.3, "R": 0.6, "mR@20": 0.1, "mR": 0.2},
    "groups": {"head": {"mR@20": 0.7, "mR": 0.8}},
    "several": {"pass@2": 0.9},
    "problems": {"empty": {"completions": 1, "items": 1}},
}


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {c[0]: c[1:] for c in ([x.strip() for x in r.strip("| ").split(" | ")] for r in rows)}


def test_every_number_stands_in_the_table():
    text = score_table(CONTENT)
    found = cells(text)
    assert found["metric"] == ["@20", "all"]
    assert found["R"] == ["0.2500 [0.100, 0.400]", "0.5000"]
    assert found["R mapped"] == ["0.3000", "0.6000"]
    assert found["mR head"] == ["0.7000", "0.8000"]
    assert found["failure_rate"][-1] == "0.1250"
    assert found["pass@2"][-1] == "0.9000"
    assert "protocol sgg: 3 images, 3 completions, 7 gold relations" in text
    assert "quirk: none to speak of" in text
    assert text.endswith("empty 1")
