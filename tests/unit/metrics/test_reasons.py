"""Why a relation counts as missed or wrong: each obstacle in turn, and never a reason beside a hit."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import scene, small_graphs

from sgg.config.protocol import Matching, ProtocolConfig, Unknown
from sgg.metrics.judged import judged
from sgg.metrics.reasons import NOT_COUNTED, OUTSIDE, explain_relations, iou_text
from sgg.metrics.tally import Task
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import VOCABULARIES

MAN, DOG, CAT = ("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("cat", (50, 50, 60, 60))
FLAT = ("man", (0, 0, 10, 4.6))
"""IoU 0.46 with MAN."""
GOLD = scene([MAN, DOG], [(0, "on", 1)])
VG150 = VOCABULARIES["vg150"]


def explained(pred, gold=GOLD, **options):
    return explain_relations(pred, gold, Task(ProtocolConfig(**options), VG150))


@pytest.mark.parametrize(
    ("pred", "missed", "wrong"),
    [
        (SceneGraph(), "no object was predicted", []),
        (scene([MAN, DOG], [(0, "near", 1)]), "“near” ≠ “on”", ["gold: “on”"]),
        (scene([FLAT, DOG], [(0, "on", 1)]), "man: box IoU 0.46", ["man: box IoU 0.46"]),
        (
            scene([MAN, DOG], [(1, "on", 0)]),
            "no relation in this direction; the reverse was predicted: dog on man",
            ["no relation in this direction; gold has the reverse: man on dog"],
        ),
        (scene([MAN], []), "dog not found", []),
        (scene([("boy", MAN[1]), DOG], [(0, "on", 1)]), "man ≠ boy", ["boy ≠ man"]),
        (scene([FLAT, DOG], [(1, "on", 0)]), "man: box IoU 0.46", ["man: box IoU 0.46"]),
        (scene([MAN, DOG, CAT], [(0, "on", 2)]), "both objects found, no relation between them", [
            "cat not in gold"
        ]),
    ],
)  # fmt: skip
def test_the_first_obstacle_is_said(pred, missed, wrong):
    found = explained(pred)
    assert (found.missed, found.wrong) == ([missed], wrong)
    assert found.found_by == [-1]
    assert found.hit_of == [-1] * len(wrong)


def test_without_a_relation_in_either_direction_none_is_named():
    gold = scene([MAN, DOG, CAT], [(0, "on", 1)])
    found = explained(scene([MAN, DOG, CAT], [(2, "near", 0)]), gold)
    assert found.missed == ["both objects found, no relation between them"]
    assert found.wrong == ["no relation between them in gold"]


def test_of_a_pair_that_is_related_in_both_directions_its_own_one_is_said():
    gold = scene([MAN, DOG], [(0, "on", 1), (1, "under", 0)])
    found = explained(scene([MAN, DOG], [(1, "near", 0)]), gold)
    assert found.missed == [
        "no relation in this direction; the reverse was predicted: dog near man",
        "“near” ≠ “under”",
    ]
    assert found.wrong == ["gold: “under”"]


def test_the_reverse_is_of_the_object_that_the_matching_takes():
    """The dog's partner is the nearer of two men, so of the other man nothing was predicted."""
    nearer = ("man", (0, 0, 10, 9))
    gold = scene([MAN, nearer, DOG], [(0, "on", 2), (1, "on", 2)])
    found = explained(scene([nearer, DOG], [(1, "under", 0)]), gold, matching=Matching.best)
    assert found.missed == [
        "both objects found, no relation between them",
        "no relation in this direction; the reverse was predicted: dog under man",
    ]


def test_of_two_predictions_with_the_labels_the_nearer_one_is_named():
    pred = scene([("man", (0, 0, 10, 2)), FLAT, DOG], [(0, "on", 2), (1, "on", 2)])
    found = explained(pred, iou_threshold=0.5)
    assert found.missed == ["man: box IoU 0.46"]
    assert found.wrong == ["man: box IoU 0.20", "man: box IoU 0.46"]


def test_what_the_protocol_does_not_count_is_said_as_that():
    pred = scene([MAN, DOG], [(0, "near", 1), (0, "on", 1)])
    found = explained(pred)
    assert (found.missed, found.wrong) == ([NOT_COUNTED], ["gold: “on”", NOT_COUNTED])
    pred = scene([MAN, DOG], [(0, "beyond belief", 1)])
    assert explained(pred, unknown=Unknown.drop).wrong == [OUTSIDE]


def test_a_box_that_another_one_beats_is_said_as_that():
    nearer = ("man", (0, 0, 10, 9))
    gold = scene([MAN, nearer, DOG], [(0, "on", 2)])
    found = explained(scene([nearer, DOG], [(0, "on", 1)]), gold, matching=Matching.best)
    assert found.missed == ["man: another box overlaps more"]


def test_partners_are_each_others():
    found = explained(scene([CAT, MAN, DOG], [(1, "near", 0), (1, "on", 2)]))
    assert (found.found_by, found.hit_of) == ([1], [-1, 0])
    assert found.missed == [""]


@given(small_graphs(), small_graphs())
def test_a_reason_stands_where_there_is_no_hit_and_only_there(pred, gold):
    task = Task(ProtocolConfig(), VG150)
    found, right = judged(pred, gold, task)
    seen = explain_relations(pred, gold, task)
    assert [by >= 0 for by in seen.found_by] == found == [not why for why in seen.missed]
    assert [of >= 0 for of in seen.hit_of] == right == [not why for why in seen.wrong]


def test_an_overlap_below_the_threshold_never_reads_as_the_threshold():
    assert [iou_text(v) for v in (0.0, 0.058, 0.4999)] == ["0.00", "0.05", "0.49"]
