"""Recall, mean recall and precision by hand and against plain counting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import naive_overlap, scene, small_graphs

from sgg.graph import SceneGraph
from sgg.metric.recall import (
    image_hits,
    image_recall,
    mean_recall,
    object_recall,
    precision,
    predicate_recalls,
    recall,
)
from sgg.vocab import canonical

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 50, 60, 60))]
GOLD = scene(NODES, [(0, "on", 1), (0, "near", 1), (1, "on", 2), (0, "has", 2)])


def hits(edges, gold=GOLD, nodes=NODES):
    return image_hits(scene(nodes, edges), gold)


PARTLY = hits([(2, "on", 2), (0, "has", 2), (1, "on", 2), (0, "has", 2)])
"""Ranks: has 1, (1, on, 2) 2; two of the four gold relations, three right ones of four said."""
NOTHING_SAID = hits([], nodes=[])
NO_GOLD = hits([(0, "on", 1)], gold=scene(NODES))


def test_image_hits_by_hand():
    assert PARTLY.first_hit == (None, None, 2, 1)
    assert PARTLY.gold_predicates == ("on", "near", "on", "has")
    assert (PARTLY.correct, PARTLY.predicted) == (3, 4)
    assert (PARTLY.objects_found, PARTLY.objects) == (3, 3)


@pytest.mark.parametrize(
    ("k", "expected"), [(0, 0), (1, 0), (2, 1 / 4), (3, 2 / 4), (20, 2 / 4), (None, 2 / 4)]
)
def test_recall_at_k_counts_the_first_k_as_written(k, expected):
    assert image_recall(PARTLY, k) == expected
    assert recall([PARTLY], k) == expected


def test_images_without_gold_are_left_out_and_images_without_an_answer_count_0():
    """(1/2 + 0) / 2: of three images one has no gold relation, one no prediction."""
    assert image_recall(NO_GOLD, 20) is None
    assert image_recall(NOTHING_SAID, 20) == 0
    assert recall([PARTLY, NOTHING_SAID, NO_GOLD], 20) == 1 / 4
    assert recall([NO_GOLD], 20) == 0
    assert recall([], 20) == 0


def test_defect_t_one_predicted_image_of_three_is_a_third():
    whole = hits([(e.subject, e.predicate, e.object) for e in GOLD.edges])
    assert recall([whole, NOTHING_SAID, NOTHING_SAID], None) == pytest.approx(1 / 3)


def test_defect_u_wrong_answers_stay_wrong_at_any_k():
    assert recall([hits([(0, "under", 1), (1, "under", 2)])], 100) == 0


def test_predicate_recalls_average_images_in_which_the_predicate_occurs():
    """on: 1/2 in the first image, 0 in the second: 1/4. has: 1 and 0. near: 0 and 0."""
    found = predicate_recalls([PARTLY, NOTHING_SAID, NO_GOLD], None)
    assert found == {"has": 1 / 2, "near": 0, "on": 1 / 4}
    assert predicate_recalls([PARTLY], 2) == {"has": 1, "near": 0, "on": 0}


def test_mean_recall_over_a_vocabulary_counts_absent_predicates_0():
    """Recalls: on 1/2, near 0, has 1. Of four predicates: 1.5 / 4; of those in gold: 1.5 / 3."""
    assert mean_recall([PARTLY], None, ["on", "near", "has", "eating"]) == 1.5 / 4
    assert mean_recall([PARTLY], None, None) == 1.5 / 3
    assert mean_recall([PARTLY], 2, None) == 1 / 3
    assert mean_recall([], None, None) == 0
    assert mean_recall([], None, ["on"]) == 0


def test_predicates_of_the_vocabulary_are_compared_canonically():
    gold = scene(NODES, [(0, "in-front_of", 1)])
    said = hits([(0, "In front of", 1)], gold)
    assert predicate_recalls([said], None) == {"in front of": 1}
    assert mean_recall([said], None, ["in_front of", "on"]) == 1 / 2


def test_precision_pools_relations_over_images():
    """3 of 4, 0 of 1, 0 of 0: 3/5."""
    assert precision([PARTLY, NO_GOLD, NOTHING_SAID]) == 3 / 5
    assert precision([NOTHING_SAID]) == 0


def test_duplicates_help_neither_recall_nor_hurt_rank():
    """One right relation said three times: recall 1/4 as if said once, precision 3/3."""
    once, thrice = hits([(0, "on", 1)]), hits([(0, "on", 1)] * 3)
    assert once.first_hit == thrice.first_hit == (0, None, None, None)
    assert (thrice.correct, thrice.predicted) == (3, 3)


def test_one_prediction_may_hit_two_gold_relations_but_counts_once():
    gold = scene([*NODES, ("man", (0, 0, 10, 9))], [(0, "on", 1), (3, "on", 1)])
    both = hits([(0, "on", 1)], gold)
    assert both.first_hit == (0, 0)
    assert (both.correct, both.predicted) == (1, 1)


def test_object_recall_pools_objects_and_wants_name_and_place():
    """Of 3 gold objects: the man is named otherwise, the hat is elsewhere: 1/3; with none said 1/6."""
    nodes = [("cat", NODES[0][1]), ("Dog", NODES[1][1]), ("hat", (0, 0, 10, 10))]
    one = hits([], nodes=nodes)
    assert (one.objects_found, one.objects) == (1, 3)
    assert object_recall([one]) == pytest.approx(1 / 3)
    assert object_recall([one, NOTHING_SAID]) == pytest.approx(1 / 6)
    assert object_recall([image_hits(SceneGraph(), SceneGraph())]) == 0


def test_object_recall_counts_gold_once_and_the_threshold_in():
    """Two men on one gold man, one of them at IoU .5, as is the only dog: 2 of 3."""
    nodes = [NODES[0], ("man", (0, 0, 10, 5)), ("dog", (20, 20, 40, 30))]
    assert hits([], nodes=nodes).objects_found == 2


@given(small_graphs(), small_graphs(), st.sampled_from([0.3, 0.5]))
def test_image_hits_equal_plain_counting(pred, gold, threshold):
    def close(i, j):
        return naive_overlap(pred.nodes[i].box, gold.nodes[j].box)[0] >= threshold

    def hit(p, g):
        labels = zip(pred.triplet(p), gold.triplet(g), strict=True)
        ends = close(p.subject, g.subject) and close(p.object, g.object)
        return ends and all(canonical(x) == canonical(y) for x, y in labels)

    found = image_hits(pred, gold, threshold)
    ranks = [[r for r, p in enumerate(pred.edges) if hit(p, g)] for g in gold.edges]
    assert found.first_hit == tuple(min(r, default=None) for r in ranks)
    assert found.correct == sum(any(hit(p, g) for g in gold.edges) for p in pred.edges)
    assert found.predicted == len(pred.edges)
    assert found.objects_found == sum(
        any(
            canonical(p.name) == canonical(g.name) and close(i, j) for i, p in enumerate(pred.nodes)
        )
        for j, g in enumerate(gold.nodes)
    )
