"""A difference of two recalls in one sentence: better or worse, by how much, and whether that is noise."""

from __future__ import annotations

LEVEL = 0.05
"""Largest p of a difference that is called real."""


def verdict(
    names: tuple[str, str],
    recalls: tuple[float, float],
    interval: tuple[float, float],
    p: float,
    images: int,
) -> str:
    """The sentence.

    Args:
        names: of the run and of its baseline.
        recalls: triplet recall of both.
        interval: 95 % interval of the first less the second.
        p: of the test that decides.
        images: behind both.

    """
    after, before = recalls
    low, high = map(signed, interval)
    numbers = (
        f"triplet recall {share(before)} → {share(after)}, {signed(after - before)} "
        f"(95 % {low} to {high}, {p_value(p)})"
    )
    if p > LEVEL:
        return f"No difference between {' and '.join(names)} that {images:,} images can show: {numbers}"
    name, baseline = names
    return f"{name} is {'better' if after > before else 'worse'} than {baseline}: {numbers}"


def share(value: float) -> str:
    """A share of 1 with three digits, such as 0.417."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """A difference of shares with its sign, such as +0.076 and -0.004."""
    rounded = round(value, 3) + 0.0  # -0.0 + 0.0 is 0.0
    return f"{rounded:+.3f}"


def p_value(p: float) -> str:
    """`p = 0.42`; very small ones as `p < 0.001`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.{3 if p < 0.1 else 2}f}"
