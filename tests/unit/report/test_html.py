"""HTML of a report: everything from data or a model stays text, and the page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from sgg.report.change_groups import ChangeGroup
from sgg.report.content.summary import ChangeRow, Count, Verdict
from sgg.report.html import json_block, policy, render, script, style
from sgg.report.view import View

EVIL = "</pre></title></script><script>alert('x')</script>\"' onerror='x' & <b>"
VOID = {"meta", "img", "input", "br"}


class Reader(HTMLParser):
    """What a browser would make of it: tags in order, texts, attributes; open tags must close."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.attributes, self.open = [], [], [], []
        self.feed(html.replace("<wbr>", ""))  # where a name may break
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


def page(**values):
    view = View(title=EVIL, what=EVIL, **values)
    parts = {"policy": policy(), "style": style(), "script": script()}
    return render("page.html", view=view, blocks=[json_block("a", EVIL)], **parts)


RUN = {
    "label": EVIL,
    "stage": EVIL,
    "tracking": EVIL,
    "facts": [(EVIL, EVIL)],
    "config": EVIL,
}


def test_what_data_or_a_model_wrote_stays_text():
    table = [[EVIL, EVIL], [EVIL, EVIL]]
    split = {"title": EVIL, "warnings": [EVIL], "kept": EVIL, "counts": table, "issues": table}
    predicate = {"name": EVIL, "group": EVIL, "gold": 1, "recalls": [0.5]}
    cell = {"found": EVIL, "recall": 0.5, "low": 0.4, "high": 0.6}
    worst = {"name": EVIL, "gold": 1, "cells": [cell], "filter": EVIL}
    read = Reader(
        page(
            left_out=[EVIL],
            verdicts=[Verdict(EVIL, is_real=True)] * 5,
            has_gallery=True,
            gallery_note=EVIL,
            worst=[worst],
            worst_caption=EVIL,
            worst_columns=[EVIL],
            worst_note=EVIL,
            labels=[EVIL],
            predicates=[predicate],
            groups=[{"label": EVIL, "recalls": [0.5] * 3}],
            failures=[{"kind": EVIL, "fails": True, "cells": []}],
            data=[split],
            all_metrics=table,
            runs=[RUN],
        )
    )
    assert read.tags.count("script") == 2, "the page's own, and a block of data"
    assert "b" not in read.tags
    assert {name for _, name, _ in read.attributes} <= {
        *("charset", "http-equiv", "content", "name", "id", "class", "href", "type", "lang"),
        *("aria-label", "role", "open", "data-sort", "data-value", "data-filter", "scope"),
        *("viewbox", "preserveaspectratio", "x", "y", "width", "height", "d"),
    }
    assert sum(EVIL in text for text in read.texts) > 20
    assert ("a", "data-filter", EVIL) in read.attributes


def test_a_number_that_opens_the_gallery_says_that_it_may_hold_fewer_images():
    group = ChangeGroup(EVIL, [ChangeRow(EVIL, EVIL, [Count(57, "{}")] * 5)])
    failure = {"kind": "empty", "fails": True, "cells": [Count(57, "{}")]}
    texts = " ".join(Reader(page(changes=[group], failures=[failure], failure_labels=["a"])).texts)
    assert "a number shows those that the gallery holds" in texts
    assert "both wrong , as many, and not all (some or none)." in texts
    assert texts.count(EVIL) > 4
    assert "A number shows the images of the gallery whose first completion has it." in texts


def test_names_of_runs_may_break_in_the_heads_of_tables_and_predicates_stand_first():
    rows = [{"name": "on", "group": "head", "gold": 1, "recalls": [0.5]}]
    groups = [{"label": "000_a-b/eval", "recalls": [0.5] * 3}]
    shown = page(labels=["000_a-b/eval"], predicates=rows, groups=groups)
    head = '<th data-sort="number" class="run-name">000_<wbr>a-<wbr>b/<wbr>eval</th>'
    assert head in shown
    assert shown.index('id="per-predicate"') < shown.index('id="groups"')


def test_the_page_may_run_its_own_script_and_load_nothing():
    read = Reader(page())
    [allowed] = [v for _, name, v in read.attributes if name == "content" and "default-src" in v]
    own = {}
    for part in (script(), style()):
        own[part] = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
    assert allowed == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{own[style()]}'; "
        f"script-src 'sha256-{own[script()]}'; form-action 'none'; base-uri 'none'"
    )
    assert own.keys() <= set(read.texts)
    links = [v for _, name, v in read.attributes if name in ("src", "href")]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script())


ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9)


@given(ANY)
def test_a_block_of_data_is_read_back_and_ends_only_where_it_ends(value):
    block = json_block("a", value)
    match = re.fullmatch(r'<script type="application/json" id="a">(.*)</script>', block)
    assert match
    assert json.loads(match[1]) == value
    assert not re.search("[<>&\u2028\u2029]", match[1])
