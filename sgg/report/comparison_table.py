"""A comparison of two runs for the terminal: metrics, predicates, images, and the verdict last. Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from sgg.evaluation.comparison import Comparison, MetricDifference, PredicateDifference
from sgg.evaluation.verdict import p_value, share, signed
from sgg.report.tables import markdown

SHOWN = 5
"""Predicates and images shown of each kind."""


def comparison_table(comparison: Comparison) -> str:
    """All of it; the verdict is the last line."""
    parts = [
        markdown([*_metric_rows(comparison)]),
        "p: paired permutation test. The verdict is about R alone; the p of the others is adjusted for their "
        "number (Holm).",
        _predicates(comparison),
        _images(comparison),
        comparison.verdict,
    ]
    return "\n\n".join(part for part in parts if part)


def _metric_rows(comparison: Comparison) -> Iterator[list[str]]:
    yield ["metric", "before", "after", "difference", "95 % interval", "p", "p, adjusted"]
    for name, cuts, found in _rows_without_repeats(list(comparison.metrics.values())):
        yield [
            ", ".join([name, *cuts]),
            share(found.before),
            share(found.after),
            signed(found.difference),
            f"{signed(found.low)} to {signed(found.high)}",
            p_value(found.p).removeprefix("p = ").removeprefix("p "),
            ""
            if found.p_holm is None
            else p_value(found.p_holm).removeprefix("p = ").removeprefix("p "),
        ]


def _rows_without_repeats(
    metrics: Sequence[MetricDifference],
) -> Iterator[tuple[str, list[str], MetricDifference]]:
    """Each metric with the cutoffs at which it is the same as without one; other cutoffs on their own."""
    for name, group in groupby(metrics, key=lambda m: m.name.partition("@")[0]):
        found = {m.name.partition("@")[2]: m for m in group}
        whole = found.pop("", None)
        same = [
            cut for cut, m in found.items() if whole is not None and _numbers(m) == _numbers(whole)
        ]
        if whole is not None:
            yield name, [f"@{cut}" for cut in same], whole
        for cut, m in found.items():
            if cut not in same:
                yield f"{name}@{cut}", [], m


def _numbers(metric: MetricDifference) -> tuple[float, ...]:
    return metric.before, metric.after, metric.low, metric.high


def _predicates(comparison: Comparison) -> str:
    moved = [p for p in comparison.predicates if p.after != p.before]
    gained = [p for p in moved if p.after > p.before][:SHOWN]
    lost = [p for p in reversed(moved) if p.after < p.before][:SHOWN]
    if not moved:
        return ""
    head = ["predicate", "gold", "found before", "after", "difference"]
    return markdown([head, *map(_predicate_row, gained), *map(_predicate_row, reversed(lost))])


def _predicate_row(found: PredicateDifference) -> list[str]:
    counts = [
        f"{count:.10g}" if count == round(count) else f"{count:.1f}"
        for count in (found.before, found.after)
    ]
    moved = found.after - found.before
    return [
        found.predicate,
        str(found.gold),
        *counts,
        f"{moved:+.0f}" if moved == round(moved) else f"{moved:+.1f}",
    ]


def _images(comparison: Comparison) -> str:
    counts = comparison.counts
    said = ", ".join(f"{count:,} {change.replace('_', ' ')}" for change, count in counts.items())
    flips = comparison.flipped()
    lines = [
        f"images: {said}",
        "  fixed: more gold relations are found than before; broken: fewer; right: all are found; malformed: "
        "the completion failed as a whole",
    ]
    gained = [i.image_id for i in flips if i.after > i.before][:SHOWN]
    lost = [i.image_id for i in reversed(flips) if i.after < i.before][:SHOWN]
    if gained:
        lines.append(f"  gained most: {', '.join(gained)}")
    if lost:
        lines.append(f"  lost most: {', '.join(lost)}")
    return "\n".join(lines)
