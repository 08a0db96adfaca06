"""Colours of a picture: those of objects, of hits and misses, and text that is legible on each.

All hues are of Okabe and Ito's palette, which people with the common kinds of colour blindness tell apart.
"""

from __future__ import annotations

BLACK, WHITE = "#000000", "#FFFFFF"
INK, PAPER = "#1A1A1A", "#FFFFFF"
"""Text and background of the graph beside an image, and of relations' labels."""
QUIET = "#595959"
"""Lines and boxes that are neither hit nor miss, in a picture that shows hits and misses."""
OF_MARK = {"hit": "#0072B2", "miss": "#D55E00", "plain": QUIET}
"""Hits are blue and solid, misses vermilion and dashed."""

_HUES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


def _mixed(colour: str, other: str, share: float) -> str:
    """The colour with `share` of another one in it."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


OBJECTS = (
    *_HUES,
    *(_mixed(hue, BLACK, 0.4) for hue in _HUES),
    *(_mixed(hue, WHITE, 0.5) for hue in _HUES),
)
"""Colours of objects: each hue, then its dark and its light form; past 21 objects they come again."""


def of_object(index: int) -> str:
    """The colour of an object, as `#RRGGBB`."""
    return OBJECTS[index % len(OBJECTS)]


def ink_on(colour: str) -> str:
    """Black or white, whichever has more contrast to a colour: 4.58 at least."""
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, colour))


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours by WCAG 2: 1 to 21; text needs 4.5."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [v / 255 for v in _channels(colour)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
