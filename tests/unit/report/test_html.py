"""HTML pieces: everything from data or a model stays text, and the page loads nothing."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from sgg.report.html import details, image_tag, items, page, section, table

EVIL = "</pre></title><script>alert('x')</script>\"' onerror='x' & <b>"
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """What a browser would make of it: tags in order, texts, attributes; open tags must close."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.attributes, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_a_page_escapes_its_title_and_allows_nothing_from_outside():
    read = Reader(page(EVIL, [Markup("<p>one</p>"), Markup("<p>two</p>"), "<p>three</p>"]))
    assert read.texts.count(EVIL) == 2  # <title> and <h1>
    assert "script" not in read.tags
    assert [t for t in read.texts if t in ("one", "two")] == ["one", "two"]
    assert "<p>three</p>" in read.texts, "text that no piece has made is escaped"
    policy = next(v for _, name, v in read.attributes if name == "content")
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
    )
    assert not [v for _, name, v in read.attributes if name in ("src", "href")]


def test_section_table_details_and_items_escape_what_they_show():
    pieces = section(EVIL, [table([EVIL], [[EVIL]]), details(EVIL, EVIL), items([(EVIL, EVIL)])])
    read = Reader(pieces)
    assert read.texts == [EVIL] * 6
    assert " ".join(read.tags) == "h2 table tr th tr td details summary pre ul li"
    assert read.attributes == [("li", "class", EVIL)]


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1)


@given(PLAIN, PLAIN)
def test_details_show_any_text_letter_by_letter(summary, text):
    assert Reader(details(summary, text)).texts == [summary, text]


def test_numbers_are_right_aligned_and_floats_have_four_digits():
    read = Reader(table(["a"], [["x", 3, 0.12345], [None, True, 1e-9]]))
    assert read.texts == ["a", "x", "3", "0.1235", "None", "True", "0.0000"]
    assert read.attributes.count(("td", "class", "n")) == 4


def test_items_carry_their_class_and_say_none():
    assert Reader(items([("hit", "a"), ("miss", "b")])).attributes == [
        ("li", "class", "hit"),
        ("li", "class", "miss"),
    ]
    assert Reader(items([])).texts == ["none"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_image_is_a_jpeg_inside_the_page(mode):
    read = Reader(image_tag(Image.new(mode, (30, 20)), EVIL))
    attributes = {name: value for _, name, value in read.attributes}
    assert attributes["alt"] == EVIL
    head, _, data = attributes["src"].partition(",")
    assert head == "data:image/jpeg;base64"
    decoded = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (decoded.format, decoded.size) == ("JPEG", (30, 20))
