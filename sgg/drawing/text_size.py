"""How wide text is, without a font at hand, and the text that is shown of a name."""

from __future__ import annotations

import math
from unicodedata import combining, east_asian_width

from sgg.terminal import without_controls

MAX_SHOWN = 40
"""Characters of a name that are shown."""
LINE = 1.35
"""Height of a label, in font sizes."""
PADDING = 0.3
"""Room left and right of a label's text, in font sizes."""
# fmt: off
_ASCII = (
    216, 242, 339, 580, 580, 740, 654, 176, 315, 315, 560, 580, 220, 274, 220, 303,
    580, 580, 580, 580, 580, 580, 580, 580, 580, 580, 220, 220, 580, 580, 580, 499,
    852, 639, 627, 699, 709, 587, 567, 710, 730, 264, 544, 609, 575, 866, 718, 737,
    598, 733, 619, 585, 612, 682, 622, 952, 625, 581, 591, 307, 303, 295, 580, 500,
    300, 531, 611, 529, 615, 549, 290, 615, 593, 238, 233, 522, 247, 855, 593, 586,
    611, 615, 330, 459, 313, 592, 514, 785, 482, 513, 462, 303, 250, 303, 580,
)
# fmt: on
"""Advance widths of Pillow's own font (Aileron) from space to tilde, in thousandths of the font size."""
_OTHER, _WIDE = 620, 1000
"""The same of other characters, and of those that are square."""
_NOT_IN_XML = dict.fromkeys([*range(0xD800, 0xE000), 0xFFFE, 0xFFFF])


def text_width(text: str, font_px: float) -> float:
    """Width of one line of text in pixels."""
    return sum(map(_thousandths, text)) * font_px / 1000


def shown(text: str, font_px: float, room: float = math.inf) -> str:
    """A name as one line for a label of at most `room` pixels, without control characters; cut with an “…”.

    It never comes out empty: a name of nothing visible is shown as a question mark.
    """
    line = " ".join(without_controls(text.replace("\n", " ")).translate(_NOT_IN_XML).split()) or "?"
    if len(line) > MAX_SHOWN:
        line = f"{line[: MAX_SHOWN - 1]}…"
    while len(line) > 1 and label_size(line, font_px)[0] > room:
        line = f"{line[:-2]}…"
    return line


def label_size(line: str, font_px: float) -> tuple[float, float]:
    """(width, height) of a label in pixels, padding included."""
    return text_width(line, font_px) + 2 * PADDING * font_px, LINE * font_px


def _thousandths(character: str) -> int:
    place = ord(character) - 32
    if 0 <= place < len(_ASCII):
        return _ASCII[place]
    if combining(character):
        return 0
    return _WIDE if east_asian_width(character) in "WF" else _OTHER
