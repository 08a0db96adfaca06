"""Curves as inline SVG: one small chart a number, raw points and their running mean."""

from __future__ import annotations

from collections.abc import Sequence

from sgg.report.html import Html, piece
from sgg.runs.progress import Curve

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 190, 52, 24, 10
_LARGEST = 1e100
_ORDER = (
    "loss",
    "reward/total/mean",
    "reward/",
    "completion/failed",
    "completion/",
    "entropy",
)
_LEFT_OUT = ("loss_mean", "epoch", "tokens", "clip_ratio", "speed/")


def charts(rows: Sequence[Curve]) -> list[Html]:
    """A chart for every logged number that varies, the telling ones first."""
    names = {name for row in rows for name in row if name != "step"}
    kept = [n for n in names if not n.startswith(_LEFT_OUT)]
    drawn = []
    for name in sorted(kept, key=lambda n: (_rank(n), n)):
        pairs = [(_number(row, "step"), _number(row, name)) for row in rows]
        points = [(x, y) for x, y in pairs if x is not None and y is not None]
        if len(points) > 1 and len({y for _, y in points}) > 1:
            drawn.append(chart(name, points))
    return drawn


def chart(name: str, points: Sequence[tuple[float, float]]) -> Html:
    """One chart; `points` are (step, value) in order."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1)
    low_y, high_y = min(ys), max(ys)
    span_y = (high_y - low_y) or 1.0

    def place(x: float, y: float) -> str:
        px = LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - 8)
        py = TOP + (1 - (y - low_y) / span_y) * (HEIGHT - TOP - BOTTOM)
        return f"{px:.1f},{py:.1f}"

    raw = " ".join(place(x, y) for x, y in points)
    smooth = " ".join(place(x, y) for x, y in zip(xs, running_mean(ys), strict=True))
    return piece(
        "chart",
        name,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        top=TOP,
        floor=HEIGHT - BOTTOM,
        low_x=f"{low_x:.0f}",
        high_x=f"{high_x:.0f}",
        low_y=f"{low_y:.3g}",
        high_y=f"{high_y:.3g}",
        raw=raw,
        smooth=smooth,
    )


def running_mean(values: Sequence[float]) -> list[float]:
    """Mean over a window of a twentieth of the points, as far as there are any before."""
    window = max(1, len(values) // 20)
    means, total = [], 0.0
    for index, value in enumerate(values):
        total += value
        if index >= window:
            total -= values[index - window]
        means.append(total / min(index + 1, window))
    return means


def _number(row: Curve, name: str) -> float | None:
    """A number that can be drawn; None where it was not logged, or is "nan" or the like."""
    value = row.get(name, "")
    return float(value) if not isinstance(value, str) and abs(value) < _LARGEST else None


def _rank(name: str) -> int:
    return next((i for i, prefix in enumerate(_ORDER) if name.startswith(prefix)), len(_ORDER))
