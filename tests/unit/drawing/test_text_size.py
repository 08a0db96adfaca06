"""Text without a font: its width, and what is shown of a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from PIL import ImageFont
from strategies import ANY_TEXT

from sgg.drawing.text_size import MAX_SHOWN, label_size, shown, text_width


@pytest.mark.parametrize("text", ["man.1", "in front of", "WWW iii", "{~} <b>&amp;</b> \"'"])
def test_widths_are_those_of_the_font_that_pillow_paints(text):
    font = ImageFont.load_default(size=200)
    assert text_width(text, 200) == pytest.approx(sum(map(font.getlength, text)), rel=0.01)


def test_square_characters_count_as_square_and_accents_on_top_as_nothing():
    assert text_width("日本", 10) == 20
    assert text_width("e\u0301", 10) == text_width("e", 10)


@given(ANY_TEXT)
def test_what_is_shown_is_one_printable_line_that_fits(text):
    line = shown(text, 12, 60)
    assert line
    assert "\n" not in line
    assert line.encode()
    assert len(line) == 1 or label_size(line, 12)[0] <= 60


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("man.1", "man.1"),
        ("two\nlines\t here", "two lines here"),
        ("", "?"),
        ("\x00\x1b[31m", "?"),
        ("\ud800x\uffff", "x"),
        ("m" * 60, "m" * (MAX_SHOWN - 1) + "…"),
    ],
)
def test_names(name, line):
    assert shown(name, 12, 1000) == line
