"""A sweep on the page: pooled seeds, best values, differences, the way to make a run again."""

from __future__ import annotations

import re

import pytest
from report_folders import HANDLER, write_sweep

from sgg.errors import SggError
from sgg.report.page import write_report
from sgg.report.sweep_view import best_runs, parallel, summary_of, sweep_section, sweep_verdicts


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    base = tmp_path_factory.mktemp("sweep")
    return write_sweep(base / "rewards", base / "cache")


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_configurations_pool_their_seeds(sweep):
    """Of 30 images with two relations: hard_recall finds .500, .600, .733, balanced .867, .867, 1."""
    summary = summary_of([sweep], "")
    section = text_of(sweep_section(summary))
    assert "hard_recall 3 baseline 0.611 [0.320, 0.902]" in section
    assert "balanced 3 +.300 ✓ real" in section
    assert "<b>0.911</b>" in sweep_section(summary)
    assert "<b>0.611</b>" not in sweep_section(summary)
    [verdict] = sweep_verdicts(summary)
    assert verdict.is_real
    assert verdict.text.startswith("reward=balanced is better than reward=hard_recall: ")


def test_the_best_configuration_and_the_baseline_stand_first_in_the_gallery(sweep):
    names = best_runs(summary_of([sweep], ""))
    assert [name[:3] for name in names] == ["003", "004", "005", "000", "001", "002"]


def test_another_baseline(sweep):
    summary = summary_of([sweep], "reward=balanced")
    [verdict] = sweep_verdicts(summary)
    assert verdict.text.startswith("reward=balanced is better than reward=hard_recall: ")
    assert "-.300 ✓ real" in text_of(sweep_section(summary))
    with pytest.raises(SggError, match="baseline=nothing"):
        write_report([sweep], baseline="nothing")


def test_axes_are_what_differs_between_runs(sweep):
    found = parallel(summary_of([sweep], ""))
    assert [axis["key"] for axis in found["axes"]][:3] == ["reward", "seed", "R"]
    assert "failure_rate" not in [axis["key"] for axis in found["axes"]], "it is 0 in all"
    assert len(found["lines"]) == 6


def test_commands_and_differences_of_configs(sweep):
    section = text_of(sweep_section(summary_of([sweep], "")))
    assert "sgg pipeline=sft_grpo_eval data=jsonl reward=balanced seed=2" in section
    assert "model.path" in section


def test_one_run_has_no_table_of_configurations(sweep):
    assert summary_of([sweep / "points" / "000_reward-hard_recall_seed-0"], "") is None
    assert summary_of([sweep, sweep], "") is None


def test_two_runs_are_compared_by_their_configs(sweep):
    folders = [
        sweep / f"points/00{n}/eval"
        for n in ("0_reward-hard_recall_seed-0", "3_reward-balanced_seed-0")
    ]
    page = write_report(folders, sweep.parent / "two").read_text()
    assert "What configs differ in from" in page
    assert "better than" in page
    assert HANDLER not in page
