"""Names of logged numbers: one for each thing, in the table of docs/tracking.md."""

import pytest

from sgg.config.stage import StageName
from sgg.config.tree import PACKAGE
from sgg.tracking.names import NAMES, is_logged_by, known, renamed, table


def test_docs_have_the_table():
    page = (PACKAGE.parent / "docs" / "tracking.md").read_text()
    assert table() in page, "python -m sgg.tracking.names"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("reward", "reward/total/mean"),
        ("rewards/edge_hard/mean", "reward/edge_hard/mean"),
        ("rewards/a/b/std", "reward/a/b/std"),
        ("completions/clipped_ratio", "completion/truncated"),
        ("num_tokens", "tokens"),
        ("loss", "loss"),
        ("completion/failed/no_json", "completion/failed/no_json"),
        ("a_name_of_tomorrow", "a_name_of_tomorrow"),
    ],
)
def test_theirs_become_ours(theirs, ours):
    assert renamed({theirs: 1.5}) == {ours: 1.5}
    assert renamed({ours: 1.5}) == {ours: 1.5}


def test_a_time_that_ours_says_better_is_left_out():
    assert renamed({"step_time": 1.0, "loss": 2.0}) == {"loss": 2.0}


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("reward/edge_hard/std", True),
        ("completion/problem/bad_box", True),
        ("clip_ratio/low_mean", True),
        ("eval/R", True),
        ("rewards/edge_hard/mean", False),
        ("completion/problem", False),
        ("reward", False),
    ],
)
def test_names_outside_of_the_table_are_told_apart(name, is_known):
    assert known(name) == is_known


def test_no_name_stands_twice():
    names = [entry.name for entry in NAMES]
    assert len(set(names)) == len(names)
    theirs = [entry.theirs for entry in NAMES if entry.theirs]
    assert not {*theirs} & {*names}


@pytest.mark.parametrize(
    ("name", "by_sft", "by_grpo"),
    [
        ("loss", True, True),
        ("entropy", True, True),
        ("speed/step_s", True, True),
        ("token_accuracy", True, False),
        ("entropy_coef", False, True),
        ("reward/edge_hard/mean", False, True),
        ("speed/reward_s", False, True),
    ],
)
def test_some_numbers_are_of_one_stage(name, by_sft, by_grpo):
    assert is_logged_by(StageName.sft, name) == by_sft
    assert is_logged_by(StageName.grpo, name) == by_grpo


def test_the_stage_that_a_meaning_names_is_the_only_one():
    for entry in NAMES:
        stage, colon, _ = entry.meaning.partition(": ")
        if colon and stage in ("SFT", "GRPO"):
            assert is_logged_by(StageName.sft, entry.name) == (stage == "SFT"), entry.name
            assert is_logged_by(StageName.grpo, entry.name) == (stage == "GRPO"), entry.name
