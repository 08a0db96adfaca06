"""The evaluator defects of R1-SGG (docs/metrics.md lists them), each with the right value worked out."""

from __future__ import annotations

import pytest
from scoring import metrics, scored
from strategies import scene

from sgg.config.protocol import (
    Absent,
    BoxArea,
    Labels,
    NgFill,
    ProtocolConfig,
    Unknown,
    WithoutPrediction,
)
from sgg.metrics.summary import summarise
from sgg.metrics.synonyms import renamed
from sgg.metrics.tally import Builder, Task
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import VOCABULARIES, Vocabulary
from sgg.text.codec import ErrorKind, Parsed, Problem

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 50, 60, 60))]
GOLD = scene(NODES, [(0, "on", 1)])
EMPTY = SceneGraph()
VG150 = VOCABULARIES["vg150"]


def mapping(*names, predicates=(), vocabulary=VG150):
    said = scene([(n, (0, 0, 1, 1)) for n in names], [(0, p, 0) for p in predicates])
    found = renamed(said, vocabulary)
    return {**found.objects, **found.predicates}


def test_defect_r_unsafe_synonyms_are_not_mapped():
    """Strict, `bicycle` for gold `bike` is a miss, R 0; mapped it is a hit, R 1.

    grass is no pot, a car
    door no car, a shadow no tail, a wall no fence, and `standing next to` is not `to`: all stay misses.
    """
    gold = scene([("bike", NODES[0][1]), NODES[1]], [(0, "near", 1)])
    said = scene([("bicycle", NODES[0][1]), NODES[1]], [(0, "next to", 1)])
    result = scored((said, gold), vocabulary=VG150)
    assert (result.values["R"], result.mapped["R"]) == (0, 1)
    assert scored((said, gold), vocabulary=VG150, labels=Labels.mapped).values["R"] == 1
    dropped = scored((said, gold), vocabulary=VG150, unknown=Unknown.drop)
    assert (dropped.values["R"], dropped.mapped["R"]) == (0, 1)
    assert mapping("grass", "car door", "shadow", "wall", predicates=["standing next to"]) == {}
    assert mapping("bicycle", "trees", "man") == {"bicycle": "bike", "trees": "tree"}
    assert mapping("man", predicates=["is behind", "below"]) == {
        "is behind": "behind",
        "below": "under",
    }
    assert renamed(said, VG150, {"bicycle": "car"}).objects == {"bicycle": "car"}


def test_defect_s_failures_are_counted_over_the_whole_split():
    """Four images: one good, one without JSON, two without any prediction: 3/4, not 1/2 of the written."""
    bad = Parsed(EMPTY, (Problem(ErrorKind.no_json),))
    found = metrics((GOLD, GOLD), (bad, GOLD), (None, GOLD), (None, GOLD))
    assert found["failure_rate"] == 3 / 4


def test_defect_t_images_without_predictions_score_0():
    """One of three images with a prediction, a perfect one: 1/3. The reference leaves two out and says 1.

    Images without gold relations are no part of recall in either.
    """
    images = [(GOLD, GOLD), (None, GOLD), (EMPTY, GOLD), (GOLD, scene(NODES))]
    assert metrics(*images)["R"] == pytest.approx(1 / 3)
    assert metrics(*images, without_prediction=WithoutPrediction.skip)["R"] == 1
    assert metrics(*images, without_prediction=WithoutPrediction.zero_in_recall)[
        "R"
    ] == pytest.approx(1 / 3)


def test_missing_completions_are_left_out_of_mean_recall_alone_where_a_protocol_says_so():
    """`on`: found, no prediction, nothing found: 1/3; without the image that has no prediction 1/2.

    A prediction that failed as a whole is one; AP keeps all three images.
    """
    failed = Parsed(EMPTY, (Problem(ErrorKind.no_json),))
    images = [(GOLD, GOLD), (None, GOLD), (failed, GOLD)]
    found = metrics(*images, without_prediction=WithoutPrediction.zero_in_recall)
    assert (found["R"], found["mR"], found["ngmR"]) == pytest.approx((1 / 3, 1 / 2, 1 / 2))
    assert found["images_counted"] == 3
    assert metrics(*images)["mR"] == pytest.approx(1 / 3)
    assert found["AP50"] == metrics(*images)["AP50"]


def test_ap_keeps_images_without_objects_unless_a_protocol_leaves_them_out():
    """Two images alike, one without an object said: recall 1/2, 51 of 101 points; left out, AP is 1.

    A prediction that failed as a whole is kept by both.
    """
    failed = Parsed(EMPTY, (Problem(ErrorKind.no_json),))
    assert metrics((GOLD, GOLD), (EMPTY, GOLD))["AP50"] == pytest.approx(51 / 101)
    for none, expected in ((EMPTY, 1), (None, 1), (failed, 51 / 101)):
        images = [(GOLD, GOLD), (none, GOLD)]
        assert metrics(*images, coco_skips_empty=True)["AP50"] == pytest.approx(expected)
        assert metrics(*images, without_prediction=WithoutPrediction.skip)["AP50"] == pytest.approx(
            51 / 101
        )


def test_defect_u_ng_ranks_only_what_was_written():
    """The one relation has a wrong predicate: ng-R@100 is 0.

    Filled with the pair's 49 other predicates, the right one
    is among them and the reference says 1; at K = 20 `on` (31st of 50) is not yet.
    """
    wrong = scene(NODES, [(0, "under", 1)])
    assert metrics((wrong, GOLD), vocabulary=VG150)["ngR@100"] == 0
    filled = metrics((wrong, GOLD), vocabulary=VG150, ng_fill=NgFill.zero_scores)
    assert (filled["ngR@20"], filled["ngR@100"], filled["R@100"]) == (0, 1, 0)


def test_defect_v_a_perfect_image_has_ap_1():
    """Three objects, all found: AP50 1. With annotation ids from 0 the first counts as missed: .667.

    Of two such images only the first man is lost: precision 0, then 1/2 up to recall 1/2.
    """
    assert metrics((GOLD, GOLD))["AP50"] == pytest.approx(1)
    assert metrics((GOLD, GOLD), coco_first_id=0)["AP50"] == pytest.approx(2 / 3)
    skipped = metrics((EMPTY, GOLD), (GOLD, GOLD), coco_first_id=0, coco_skips_empty=True)
    assert skipped["AP50"] == pytest.approx(1)  # the lost box is that of the image left out
    two = metrics((GOLD, GOLD), (GOLD, GOLD), coco_first_id=0)["AP50"]
    assert two == pytest.approx((2 + 51 / 101 / 2) / 3)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_first_box_of_the_split_may_come_after_images_without_gold(before):
    """One man, then one dog, all found; with annotation ids from 0 the man counts as missed: 1/2."""
    man, dog = (scene([node]) for node in NODES[:2])
    images = [EMPTY] * before + [man, dog]
    task = Task(ProtocolConfig(coco_first_id=0))
    builder = Builder(task, first=True)
    for number, graph in enumerate(images):
        builder.add(number, Parsed(graph, ()), graph)
    found = summarise(builder.tally(), task, [str(i) for i in range(len(images))])
    assert found.values["AP50"] == pytest.approx(1 / 2)


def test_defect_w_one_iou_convention_holds_for_a_whole_report():
    """[0, 0, 10, 10] against [0, 0, 10, 4.6]: .460 plain, 11 · 5.6 / (11 · 11) = .509 with +1."""
    flat = scene([("man", (0, 0, 10, 4.6)), NODES[1]], [(0, "on", 1)])
    assert metrics((flat, GOLD))["R"] == 0
    assert metrics((flat, GOLD), box_area=BoxArea.plus_one)["R"] == 1
    assert (
        metrics((flat, GOLD), coco_box_area=BoxArea.plus_one)["AP50"]
        > metrics((flat, GOLD))["AP50"]
    )


def test_defect_w_one_mean_recall_holds_for_a_whole_report():
    """Vocabulary of two, `near` absent from gold: 1/2 over all; 1 over those present, and named so."""
    two = Vocabulary("two", ("man", "dog", "hat"), ("on", "near"))
    found = metrics((GOLD, GOLD), vocabulary=two)
    assert (found["mR"], found["mR_pooled_present"]) == (1 / 2, 1)
    assert metrics((GOLD, GOLD), vocabulary=two, absent=Absent.present)["mR"] == 1


def test_defect_x_zero_shot_triplets_are_names_of_the_own_data_set():
    """Unseen is (man, on, dog) by name: zR counts it and no other; a list of other names counts none."""
    other = scene(NODES, [(0, "on", 2)])
    unseen = frozenset({("man", "on", "dog")})
    assert metrics((EMPTY, GOLD), (other, other), unseen=unseen)["zR"] == 0
    assert metrics((GOLD, GOLD), (EMPTY, other), unseen=unseen)["zR"] == 1
    assert metrics((GOLD, GOLD), unseen=frozenset({("person", "over", "bear")}))["zR"] == 0
