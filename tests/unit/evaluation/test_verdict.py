"""A difference in one sentence."""

from __future__ import annotations

import pytest

from sgg.evaluation.verdict import p_value, share, signed, verdict


def said(after, before, p):
    return verdict(("GRPO", "SFT"), (after, before), (-0.0101, 0.0449), p, 1800)


def test_the_run_stands_first_whichever_is_better():
    numbers = "triplet recall 0.417 → 0.493, +0.076 (95 % -0.010 to +0.045, p = 0.050)"
    assert said(0.493, 0.417, 0.05) == f"GRPO is better than SFT: {numbers}"
    assert said(0.417, 0.493, 0.01).startswith(
        "GRPO is worse than SFT: triplet recall 0.493 → 0.417, -0.076"
    )


def test_noise_is_no_difference():
    start = "No difference between GRPO and SFT that 1,800 images can show: triplet recall 0.417 → 0.493"
    assert said(0.493, 0.417, 0.0501).startswith(start)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (share(0.4171), "0.417"),
        (share(1), "1.000"),
        (signed(0.0756), "+0.076"),
        (signed(-0.0041), "-0.004"),
        (signed(-1), "-1.000"),
        (signed(-0.0), "+0.000"),
        (p_value(0.42), "p = 0.42"),
        (p_value(0.0421), "p = 0.042"),
        (p_value(0.0005), "p < 0.001"),
        (p_value(1), "p = 1.00"),
    ],
)
def test_numbers_are_short(shown, text):
    assert shown == text
