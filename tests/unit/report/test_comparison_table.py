"""What `sgg score against=` prints."""

from __future__ import annotations

from scoring import evaluated
from strategies import scene

from sgg.evaluation.comparison import compare_scored
from sgg.report.comparison_table import comparison_table

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 0, 60, 10))]
GOLD = scene(NODES, [(0, "on", 1), (0, "wears", 2)])
ON, WEARS = scene(NODES, [(0, "on", 1)]), scene(NODES, [(0, "wears", 2)])


def shown(after, before, **protocol):
    runs = ([(said, GOLD) for said in side] for side in (after, before))
    found = compare_scored(*(evaluated(*run, **protocol) for run in runs), ("GRPO", "SFT"))
    return comparison_table(found), found


def row(text, name):
    return next(
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in text.splitlines()
        if line.startswith(f"| {name}")
    )


def test_metrics_predicates_images_and_the_verdict_last():
    text, found = shown([WEARS, GOLD, GOLD], [ON, ON, ON])
    assert row(text, "R,")[1:4] == ["0.500", "0.833", "+0.333"]
    assert row(text, "wears") == ["wears", "3", "0", "3", "+3"]
    assert row(text, "on") == ["on", "3", "3", "2", "-1"]
    assert "images: 2 fixed, 0 broken, 0 both right, 1 both wrong, 0 malformed" in text
    assert "  gained most: 1, 2\n" in text
    assert text.splitlines()[-1] == found.verdict


def test_cutoffs_that_cut_nothing_have_no_rows_of_their_own():
    """Two relations: a cutoff of 1 cuts, 20 and 50 do not."""
    text, _ = shown([GOLD], [ON], cutoffs=[1, 20, 50])
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    recalls = [name for name in names if name.startswith("R")]
    assert recalls == ["R, @20, @50", "R@1"]


def test_at_most_five_predicates_each_way():
    edges = [(0, f"p{i}", 1) for i in range(7)]
    many, none = scene(NODES, edges), scene(NODES, [])
    runs = [evaluated((said, many), graph_constraint=False) for said in (many, none)]
    gained, lost = compare_scored(*runs), compare_scored(*reversed(runs))
    for found, sign in ((gained, "+1"), (lost, "-1")):
        assert comparison_table(found).count(f" {sign} ") == 5


def test_runs_that_agree():
    text, _ = shown([ON], [ON])
    assert "| predicate" not in text
    assert "most:" not in text
