"""Colours: text is legible on each, and those of objects differ."""

from __future__ import annotations

import pytest

from sgg.drawing.colours import INK, OBJECTS, OF_MARK, PAPER, contrast, ink_on, of_object


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert contrast("#FFFFFF", "#777777") == contrast("#777777", "#FFFFFF")


@pytest.mark.parametrize("colour", [*OBJECTS, *OF_MARK.values(), INK, PAPER])
def test_text_on_every_ground_has_enough_contrast(colour):
    assert contrast(colour, ink_on(colour)) >= 4.5


def test_objects_differ_until_all_colours_are_used():
    assert len({of_object(i) for i in range(21)}) == 21
    assert of_object(21) == of_object(0)


def test_hits_misses_and_the_rest_differ_in_brightness_or_hue():
    assert len({*OF_MARK.values()}) == 3
