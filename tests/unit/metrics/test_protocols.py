"""Every field of every protocol, written out: a changed default is a changed measurement."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sgg.config.compose import compose_config
from sgg.config.protocol import ProtocolConfig

COLUMNS = ("sgg", "shapes", "vg150_val5k_r1sgg", "psg_test_r1sgg", "vg150_test_kaihua")
COLUMNS += ("psg_test_box", "sgbench")
# fmt: off
TABLE = {
    "id": ["sgg", "shapes", "vg150-val5k-r1sgg", "psg-test-r1sgg", "vg150-test-kaihua",
           "psg-test-box", "sgbench"],
    "modes": ["sgdet phrdet", "sgdet phrdet", "sgdet", "sgdet", "sgdet", "sgdet phrdet", "sgdet"],
    "cutoffs": [[20, 50, 100]] * 7,
    "iou_threshold": [0.5] * 7,
    "box_area": ["plain", "plain", "plus_one", "plus_one", "plus_one", "plain", "plain"],
    "matching": ["every", "every", "every", "every", "every", "every", "best"],
    "graph_constraint": [True, False, False, False, False, True, False],
    "duplicates": ["keep", "keep", "keep", "keep", "keep", "keep", "drop"],
    "gold_duplicates": [None, None, "keep", "keep", "keep", "drop", "drop"],
    "ng_fill": ["emitted", "emitted", "zero_scores", "zero_scores", "zero_scores", "emitted",
                "emitted"],
    "without_prediction": ["zero", "zero", "skip", "skip", "skip", "zero", "zero_in_recall"],
    "absent": ["all", "all", "all", "all", "all", "all", "present"],
    "unknown": ["miss", "miss", "drop", "drop", "drop", "miss", "miss"],
    "labels": ["strict", "strict", "mapped", "mapped", "strict", "strict", "strict"],
    "zero_shot": ["source", None, "source", "source", "source", None, None],
    "zero_shot_first_object": [1, 1, 1, 0, 1, 1, 1],
    "coco_first_id": [1, 1, 0, 0, 0, 1, 1],
    "coco_box_area": ["plain", "plain", "plain", "plain", "plus_one", "plain", "plain"],
    "coco_skips_empty": [False, False, True, True, False, False, False],
    "image_order": ["split", "split", "sorted", "sorted", "split", "split", "split"],
}
# fmt: on


def written(value):
    """An enumerated value as it stands in a config."""
    if isinstance(value, list):
        return " ".join(v.name for v in value) if hasattr(value[0], "name") else value
    return getattr(value, "name", value)


def test_the_table_names_every_protocol_and_every_field():
    conf = Path(__file__).parents[3] / "conf" / "protocol"
    assert {path.stem for path in conf.glob("*.yaml")} == set(COLUMNS)
    assert {f.name for f in fields(ProtocolConfig)} == {*TABLE, "quirks"}


@pytest.mark.parametrize("place", range(len(COLUMNS)), ids=COLUMNS)
def test_every_field_of_a_protocol(place):
    config = compose_config([f"protocol={COLUMNS[place]}"])
    found = {name: written(getattr(config.protocol, name)) for name in TABLE}
    assert found == {name: row[place] for name, row in TABLE.items()}


def test_the_defaults_are_the_protocol_sgg():
    plain = ProtocolConfig()
    assert {name: written(getattr(plain, name)) for name in TABLE} == {
        name: row[0] for name, row in TABLE.items()
    }
    assert plain.quirks == []
