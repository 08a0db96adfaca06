"""Class lists against the data sets' own files and figures; how names are compared."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from strategies import ANY_TEXT

from sgg.scene.vocab import VOCABULARIES, Vocabulary, canonical

SIZES = {"vg150": (150, 50), "psg": (133, 56), "shapes": (16, 6)}


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_lists_have_the_published_sizes_and_no_two_equal_names(name):
    vocabulary = VOCABULARIES[name]
    assert vocabulary.name == name
    assert (len(vocabulary.objects), len(vocabulary.predicates)) == SIZES[name]
    for names in (vocabulary.objects, vocabulary.predicates):
        assert len({canonical(n) for n in names}) == len(names)
        assert all(canonical(n) for n in names)


@pytest.mark.parametrize(
    ("vocabulary", "kind", "index", "name"),
    [
        ("vg150", "objects", 77, "man"),
        ("vg150", "objects", 149, "zebra"),
        ("vg150", "predicates", 30, "on"),
        ("psg", "objects", 79, "toothbrush"),
        ("psg", "objects", 80, "banner"),
        ("psg", "predicates", 55, "leaning on"),
        ("shapes", "objects", 15, "yellow cross"),
    ],
)
def test_order_is_the_class_id(vocabulary, kind, index, name):
    """PSG's 80 things end with toothbrush; VG-SGG-dicts counts from 1: man 78, on 31."""
    assert getattr(VOCABULARIES[vocabulary], kind)[index] == name


def test_vg150_is_the_file_that_the_field_uses():
    root = os.environ.get("SGG_REALDATA")
    if not root:
        pytest.skip("SGG_REALDATA is not set: no VG-SGG-dicts to compare with")
    dicts = json.loads((Path(root) / "vg150_test" / "VG-SGG-dicts-with-attri.json").read_text())
    vocabulary = VOCABULARIES["vg150"]
    assert vocabulary.objects == tuple(dicts["idx_to_label"][str(i)] for i in range(1, 151))
    assert vocabulary.predicates == tuple(dicts["idx_to_predicate"][str(i)] for i in range(1, 51))


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        (" Door-Stuff", "door stuff"),
        ("in_front  of", "in front of"),
        ("A-_ \t-b", "a b"),
        ("wall-other-merged", "wall other merged"),
        ("-", ""),
        ("caffè", "caffè"),
    ],
)
def test_canonical_form(written, compared):
    assert canonical(written) == compared


@given(ANY_TEXT)
def test_canonical_is_idempotent(text):
    assert canonical(canonical(text)) == canonical(text)


def test_membership_goes_by_canonical_form():
    vocabulary = Vocabulary("v", ("door-stuff",), ("in front of",))
    assert vocabulary.knows_object("Door Stuff")
    assert not vocabulary.knows_object("door")
    assert not vocabulary.knows_object("in front of")
    assert vocabulary.knows_predicate("in_front of")
    assert not vocabulary.knows_predicate("door-stuff")
