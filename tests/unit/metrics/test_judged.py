"""What people are shown as a hit is what the protocol counts as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import metrics
from strategies import scene, small_graphs

from sgg.config.data import Duplicates
from sgg.config.protocol import BoxArea, Labels, Matching, ProtocolConfig, Unknown
from sgg.metrics.judged import judged, judged_objects
from sgg.metrics.tally import Task
from sgg.scene.vocab import VOCABULARIES

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))]
GOLD = scene(NODES, [(0, "on", 1)])
FLAT = scene([("man", (0, 0, 10, 4.6)), NODES[1]], [(0, "on", 1)])
VG150 = VOCABULARIES["vg150"]


def shown(pred, gold=GOLD, **options):
    return judged(pred, gold, Task(ProtocolConfig(**options), VG150))


def test_the_threshold_and_the_area_are_the_protocols():
    """IoU .460 plain, .509 with +1; .460 passes .3 and, inclusive, itself."""
    assert shown(FLAT) == ([False], [False])
    assert shown(FLAT, box_area=BoxArea.plus_one) == ([True], [True])
    assert shown(FLAT, iou_threshold=0.3) == ([True], [True])
    assert shown(FLAT, iou_threshold=0.46) == ([True], [True])


def test_what_is_not_ranked_is_not_right():
    """A pair's second predicate, unless all rank; a name that is dropped or mapped."""
    gold = scene(NODES, [(0, "near", 1)])
    said = scene(NODES, [(0, "on", 1), (0, "near", 1)])
    assert shown(said, gold) == ([False], [False, False])
    assert shown(said, gold, graph_constraint=False) == ([True], [False, True])
    beside = scene(NODES, [(0, "beyond belief", 1), (0, "next to", 1)])
    assert shown(beside, gold, graph_constraint=False) == ([False], [False, False])
    mapped = {"labels": Labels.mapped, "unknown": Unknown.drop}
    assert shown(beside, gold, **mapped) == ([True], [False, True])


def test_a_name_outside_the_vocabulary_keeps_its_rank_unless_it_is_dropped():
    """It stands first of its pair, so that the right relation after it is not ranked."""
    gold = scene(NODES, [(0, "near", 1)])
    said = scene(NODES, [(0, "beyond belief", 1), (0, "near", 1)])
    assert shown(said, gold) == ([False], [False, False])
    assert shown(said, gold, unknown=Unknown.drop) == ([True], [False, True])
    open_ended = Task(ProtocolConfig(unknown=Unknown.drop))
    assert judged(said, gold, open_ended) == ([False], [False, False])


@pytest.mark.parametrize("labels", list(Labels))
@given(st.data())
def test_the_shares_shown_are_the_metrics(labels, data):
    pred, gold = data.draw(small_graphs()), data.draw(small_graphs())
    options = {
        "labels": labels,
        "unknown": data.draw(st.sampled_from(list(Unknown))),
        "matching": data.draw(st.sampled_from(list(Matching))),
        "duplicates": data.draw(st.sampled_from(list(Duplicates))),
        "graph_constraint": data.draw(st.booleans()),
        "iou_threshold": data.draw(st.sampled_from([0.3, 0.5])),
    }
    found, right = shown(pred, gold, **options)
    known = metrics((pred, gold), vocabulary=VG150, **options)
    assert known["R"] == pytest.approx(sum(found) / len(found) if found else 0)
    assert len(right) == len(pred.edges)


def test_an_object_is_a_hit_by_label_and_overlap():
    pred = scene([NODES[0], ("cat", NODES[1][1]), ("man", (50, 50, 60, 60))])
    task = Task(ProtocolConfig(), VG150)
    assert judged_objects(pred, GOLD, task) == ([True, False], [True, False, False])
    assert judged_objects(scene(), GOLD, task) == ([False, False], [])
    assert judged_objects(pred, scene(), task) == ([], [False] * 3)
    # IoU .46
    assert judged_objects(FLAT, GOLD, task)[1] == [False, True]
    loose = Task(ProtocolConfig(iou_threshold=0.3), VG150)
    assert judged_objects(FLAT, GOLD, loose)[1] == [True, True]
