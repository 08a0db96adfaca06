"""Lines that say which gold relation was hit by which prediction, and what kept the others."""

from __future__ import annotations

from strategies import PX, scene

from sgg.reward.case import ScoredCompletion
from sgg.reward.explain import explain
from sgg.scene.match import assign
from sgg.text.codec import parse, render

SIDE = 100
MAN, DOG, HAT = ("man", (0, 0, 40, 40)), ("dog", (50, 50, 90, 90)), ("hat", (50, 0, 90, 40))
GOLD = scene([MAN, DOG, HAT], [(0, "on", 1), (0, "wears", 2)])


def lines(pred, gold=GOLD, **options):
    parsed = parse(render(pred, PX, SIDE, SIDE), PX, SIDE, SIDE)
    case = ScoredCompletion(parsed, gold, assign(parsed.graph, gold, SIDE, SIDE))
    return [line.strip() for line in explain(case, **options)]


def test_hits_and_misses_are_numbered_from_1():
    pred = scene([MAN, DOG, HAT], [(1, "near", 2), (0, "wears", 2)])
    assert lines(pred) == [
        "gold 1: man – on – dog  MISSED",
        "nearest is prediction 2: man – wears – hat",
        "predicate: `wears` is not `on`",
        "object: `hat` is not `dog`",
        "object: IoU 0.00 is below 0.5",
        "gold 2: man – wears – hat  HIT by prediction 2",
        "prediction 1: dog – near – hat  hits no gold relation",
    ]


def test_a_prediction_that_is_taken_says_by_which():
    twice = scene([MAN, DOG, HAT], [(0, "wears", 2), (0, "on", 1), (0, "on", 1)])
    found = lines(scene([MAN, DOG], [(0, "on", 1)]), twice)
    assert "it is taken: one prediction hits one relation, and this one hits gold 2" in found
    assert "gold 2: man – on – dog  HIT by prediction 1" in found


def test_of_equal_faults_the_larger_overlap_is_nearest():
    """Both predictions name a wrong predicate; the second one's man stands where gold's does."""
    pred = scene([("man", (0, 0, 40, 30)), MAN, DOG], [(0, "near", 2), (1, "under", 2)])
    assert "nearest is prediction 2: man – under – dog" in lines(pred)


def test_a_box_at_the_threshold_is_no_fault():
    pred = scene([("man", (0, 0, 40, 20)), DOG], [(0, "near", 1)])
    assert not [line for line in lines(pred) if line.startswith("subject: IoU")]
    assert "subject: IoU 0.50 is below 0.6" in lines(pred, iou_threshold=0.6)


def test_no_relation_at_all_is_said_once_a_gold_relation():
    assert lines(scene([MAN])).count("no relation is predicted") == 2
