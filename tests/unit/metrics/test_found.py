"""Which gold relations are found, in the order of the split and of each image's gold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scoring import names_of, tallied
from strategies import scene, small_graphs

from sgg.config.protocol import ProtocolConfig
from sgg.metrics.found import found_relations
from sgg.metrics.judged import judged
from sgg.metrics.tally import Task

TASK = Task(ProtocolConfig(graph_constraint=False))
NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))]
GOLD = scene(NODES, [(0, "on", 1), (1, "under", 0)])
EMPTY = scene(NODES, [])


def found_in(*images):
    return found_relations(tallied(TASK, *images), names_of(images))


def test_each_gold_relation_has_the_share_of_completions_that_find_it():
    on, under = scene(NODES, [(0, "on", 1)]), scene(NODES, [(1, "under", 0)])
    other = scene(NODES, [(0, "near", 1)])
    found = found_in((on, GOLD), (EMPTY, EMPTY), ([under, GOLD, None, EMPTY], GOLD), (on, other))
    assert found.image_ids == ["0", "1", "2", "3"]
    assert found.image.tolist() == [0, 0, 2, 2, 3]
    assert found.predicates == ["on", "under", "on", "under", "near"]
    assert found.share.tolist() == [1, 0, 0.25, 0.5, 0]
    assert found.failed.tolist() == [0, 0, 0.25, 0]


def test_no_relation_at_all():
    found = found_in((EMPTY, EMPTY))
    assert (found.predicates, found.share.tolist(), found.failed.tolist()) == ([], [], [0])


@given(st.lists(st.tuples(small_graphs(), small_graphs()), min_size=1, max_size=4))
def test_what_is_found_is_what_people_are_shown_as_found(images):
    shown = [flag for pred, gold in images for flag in judged(pred, gold, TASK)[0]]
    assert found_in(*images).share.tolist() == shown
