"""What degenerate completions earn, and that no text breaks anything: small runs of two bench scripts."""

from __future__ import annotations

import pytest
from benches import load

gaming, fuzz_rewards = load("gaming"), load("fuzz_rewards")


@pytest.fixture(scope="module")
def balanced():
    return gaming.totals("balanced", images=12)


@pytest.mark.parametrize("adversary", gaming.ADVERSARIES)
def test_no_adversary_beats_an_honest_half_right_completion_under_the_recommended_preset(
    balanced, adversary
):
    """By a wide margin: the best of them has less than two thirds of what honesty earns."""
    honest = min(
        balanced["half right, half wrong predicates"], balanced["half said, nothing wrong"]
    )
    assert balanced[adversary] < honest * 2 / 3 < balanced["gold"] == 1


def test_recall_alone_is_gamed():
    """Why there is a recommended preset: the reference's pays spam like gold, or nearly so."""
    assert gaming.totals("hard_recall", images=6)["spam: all predicates, all pairs"] > 0.9
    assert gaming.totals("soft_recall", images=6)["spam: all predicates, all pairs"] > 0.9


def test_five_thousand_mutated_completions_raise_nothing_and_keep_every_range():
    """Times are the bench's; here only that none is out of all proportion."""
    state = fuzz_rewards.fuzz(5_000)
    assert set(state.failures) == {"read", "malformed", "truncated", "no_json", "empty"}
    assert state.slowest_ms < 500
