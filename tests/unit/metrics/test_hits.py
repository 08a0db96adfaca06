"""Limits of hits and ranks: the threshold itself, ties, the 100 of a filled ng-R."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import ALL_MODES, metrics, scored
from strategies import scene, small_graphs

from sgg.config.data import Duplicates
from sgg.config.protocol import BoxArea, Matching, Mode, NgFill, ProtocolConfig
from sgg.metrics.arrays import Names, to_arrays
from sgg.metrics.hits import NEVER, Overlap, rank, unions
from sgg.scene.boxes import iou
from sgg.scene.match import object_hits, triplet_hits
from sgg.scene.vocab import VOCABULARIES, Vocabulary

DOG = ("dog", (20, 20, 40, 40))
GOLD = scene([("man", (0, 0, 10, 10)), DOG], [(0, "on", 1)])


@pytest.mark.parametrize("matching", list(Matching))
@pytest.mark.parametrize(("height", "hit"), [(5, 1), (4.99, 0)])
def test_an_overlap_at_the_threshold_is_a_hit(matching, height, hit):
    """IoU 5/10 = .5 of the man, of relation, union, object, and given box; .499 is none of them."""
    low = scene([("man", (0, 0, 10, height)), DOG], [(0, "on", 1)])
    found = metrics((low, GOLD), modes=ALL_MODES, matching=matching)
    assert (found["R"], found["sgcls R"], found["predcls R"]) == (hit, hit, hit)
    assert found["object_recall"] == (1 + hit) / 2
    # swapped ends: the dog's box is the larger one of two
    union = scene([("man", (0, 0, 10, 10)), ("dog", (0, 0, 10, height))], [(0, "on", 1)])
    wide = scene([("man", (0, 0, 10, 10)), ("dog", (0, 10, 10, 20))], [(0, "on", 1)])
    assert metrics((union, wide), modes=ALL_MODES, matching=matching)["phrdet R"] == 1
    small = scene([("man", (0, 0, 10, height)), ("dog", (0, 0, 10, height))], [(0, "on", 1)])
    narrow = scene([("man", (0, 0, 10, 10)), ("dog", (0, 0, 10, 10))], [(0, "on", 1)])
    assert metrics((small, narrow), modes=ALL_MODES, matching=matching)["phrdet R"] == hit


def test_sgbench_matches_a_predicted_object_with_the_best_of_its_class_alone():
    """IoU .8 with the second man, .6 with the first: `every` hits both relations, `best` one.

    A man is never put on the dog, however well he fits.
    """
    gold = scene(
        [("man", (0, 0, 10, 6)), ("man", (0, 0, 10, 8)), DOG], [(0, "on", 2), (1, "near", 2)]
    )
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, "on", 1), (0, "near", 1)])
    options = {"graph_constraint": False}
    assert metrics((said, gold), **options)["R"] == 1
    assert metrics((said, gold), **options, matching=Matching.best)["R"] == 1 / 2
    alike = scene([("dog", (0, 0, 10, 10)), ("man", (0, 0, 10, 8))], [(1, "on", 1)])
    own = scene([("man", (0, 0, 10, 10))], [(0, "on", 0)])
    assert metrics((own, alike), matching=Matching.best)["R"] == 1


def test_of_equal_overlaps_the_best_is_the_first():
    twins = scene([("man", (0, 0, 10, 10))] * 2, [(0, "on", 0), (1, "near", 1)])
    said = scene([("man", (0, 0, 10, 10))], [(0, "on", 0), (0, "near", 0)])
    options = {"graph_constraint": False, "matching": Matching.best}
    assert metrics((said, twins), **options)["R"] == 1 / 2
    assert metrics((scene([("man", (0, 0, 9, 9))], [(0, "on", 0)]), twins), **options)["R"] == 1 / 2


def test_a_completion_or_gold_without_objects_hits_nothing():
    for pred, gold in ((scene(), GOLD), (GOLD, scene()), (scene(), scene())):
        for matching in Matching:
            found = metrics((pred, gold), modes=ALL_MODES, matching=matching)
            assert [v for k, v in found.items() if "R" in k.split("@")[0]] == pytest.approx(
                [0.0] * sum("R" in k.split("@")[0] for k in found)
            )


def test_a_given_box_of_two_gold_objects_is_the_one_of_the_equal_label():
    """Man and dog on one box: a dog said there is the dog, whichever stands first."""
    box = (0, 0, 10, 10)
    for first, second in (("man", "dog"), ("dog", "man")):
        gold = scene([(first, box), (second, box), ("hat", (50, 50, 60, 60))], [(1, "has", 2)])
        said = scene([(second, box), ("hat", (50, 50, 60, 60))], [(0, "has", 1)])
        found = metrics((said, gold), modes=ALL_MODES)
        assert (found["sgcls R"], found["predcls R"]) == (1, 1)


def test_a_predicted_object_stands_on_the_gold_box_that_it_overlaps_most():
    """The dog lies on the man's box: SGCls reads a dog there, PredCls a man; `near` is right of him."""
    gold = scene([("man", (0, 0, 10, 10)), ("dog", (0, 0, 10, 7))], [(0, "near", 0)])
    said = scene([("dog", (0, 0, 10, 9))], [(0, "near", 0)])
    found = metrics((said, gold), modes=ALL_MODES)
    assert (found["R"], found["sgcls R"], found["predcls R"]) == (0, 0, 1)
    # 6/9 with the dog, who is second best: the man's box, whatever label
    third = scene([("man", (0, 0, 10, 10)), ("dog", (0, 0, 10, 6))], [(1, "near", 1)])
    found = metrics((said, third), modes=ALL_MODES)
    assert (found["R"], found["sgcls R"]) == (1, 1)  # the two gold boxes overlap by .6
    assert found["predcls R"] == 0


NAMES = [f"p{i:03}" for i in range(120)]
WIDE = Vocabulary("wide", ("man", "dog"), tuple(NAMES))


@pytest.mark.parametrize(("wanted", "hit"), [(98, 1), (99, 0)])
def test_ng_filled_up_ranks_a_hundred(wanted, hit):
    """One relation said, of p110: rank 0. Then p000 at rank 1, p098 at 99, p099 at 100: too late."""
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, "p110", 1)])
    gold = scene([("man", (0, 0, 10, 10)), DOG], [(0, NAMES[wanted], 1)])
    filled = metrics((said, gold), vocabulary=WIDE, ng_fill=NgFill.zero_scores)
    assert (filled["ngR"], filled["ngR@100"], filled["ngR@50"]) == (hit, hit, 0)
    assert metrics((said, gold), vocabulary=WIDE)["ngR"] == 0


@pytest.mark.parametrize(
    ("own", "wanted", "rank_of_it"), [(30, 10, 11), (30, 40, 40), (0, 1, 1), (3, 0, 1)]
)
def test_the_fill_passes_over_what_was_said(own, wanted, rank_of_it):
    """Before the one said each stands one later, after it the place is its own."""
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, NAMES[own], 1)])
    gold = scene([("man", (0, 0, 10, 10)), DOG], [(0, NAMES[wanted], 1)])
    options = {"vocabulary": WIDE, "ng_fill": NgFill.zero_scores}
    cutoffs = [rank_of_it, rank_of_it + 1]
    found = metrics((said, gold), cutoffs=cutoffs, **options)
    assert [found[f"ngR@{k}"] for k in cutoffs] == [0, 1]


def test_the_fill_goes_pair_by_pair_after_all_that_was_said():
    """Five predicates, two pairs said: ranks 0 and 1, the first pair's other four 2 to 5, then 6 to 9."""
    five = Vocabulary("five", ("man", "dog"), tuple(NAMES[:5]))
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, "p000", 1), (1, "p000", 0)])
    for edge, place in (((0, "p004", 1), 5), ((1, "p001", 0), 6), ((1, "p004", 0), 9)):
        gold = scene([("man", (0, 0, 10, 10)), DOG], [edge])
        options = {"vocabulary": five, "ng_fill": NgFill.zero_scores}
        found = metrics((said, gold), cutoffs=[place, place + 1], **options)
        assert [found[f"ngR@{k}"] for k in (place, place + 1)] == [0, 1]


def test_the_fill_follows_what_ranks_and_not_what_was_taken_out():
    """The same relation twice, the second taken out: what is filled begins at rank 1."""
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, "p110", 1)] * 2)
    gold = scene([("man", (0, 0, 10, 10)), DOG], [(0, "p000", 1)])
    options = {"vocabulary": WIDE, "ng_fill": NgFill.zero_scores, "cutoffs": [1, 2]}
    found = metrics((said, gold), **options, duplicates=Duplicates.drop)
    assert (found["ngR@1"], found["ngR@2"]) == (0, 1)
    assert metrics((said, gold), **options)["ngR@2"] == 0


def test_what_was_said_is_cut_at_a_hundred_where_ng_is_filled_up():
    """99 wrong ones before it: the 100th is counted; one more and it is not. What is emitted has no limit."""
    nodes = [("man", (0, 0, 10, 10)), DOG]
    for before, hit in ((99, 1), (100, 0)):
        said = scene(nodes, [(1, "p001", 0)] * before + [(0, "p000", 1)])
        gold = scene(nodes, [(0, "p000", 1)])
        options = {"vocabulary": Vocabulary("two", ("man", "dog"), ("p000", "p001"))}
        assert metrics((said, gold), **options, ng_fill=NgFill.zero_scores)["ngR"] == hit
        assert metrics((said, gold), **options)["ngR"] == 1


def test_the_fill_needs_a_pair_that_fits_and_a_known_predicate():
    gold = scene([("man", (0, 0, 10, 10)), DOG], [(0, "unheard of", 1)])
    said = scene([("man", (0, 0, 10, 10)), DOG], [(0, "p001", 1)])
    options = {"vocabulary": WIDE, "ng_fill": NgFill.zero_scores}
    assert metrics((said, gold), **options)["ngR"] == 0
    known = scene(gold.nodes, [(0, "p000", 1)])
    away = scene([("man", (60, 60, 70, 70)), DOG], [(0, "p001", 1)])
    assert metrics((away, known), **options)["ngR"] == 0
    assert metrics((scene(said.nodes), known), **options)["ngR"] == 0
    assert metrics((said, scene(gold.nodes)), **options)["ngR"] == 0


def test_repeated_relations_are_dropped_between_the_same_two_objects_only():
    """A second man on the same box: another object to a protocol that drops, a repetition to the rate."""
    nodes = [("man", (0, 0, 10, 10)), ("man", (0, 0, 10, 10)), DOG]
    said = scene(nodes, [(0, "on", 2), (0, "on", 2), (1, "on", 2), (0, "near", 2)])
    names = Names()
    found = rank(
        to_arrays(said, names),
        ProtocolConfig(duplicates=Duplicates.drop, graph_constraint=False),
    )
    assert found.constrained.tolist() == found.unconstrained.tolist() == [0, NEVER, 1, 2]
    assert found.deduplicated.tolist() == [0, NEVER, NEVER, 1]
    assert found.repeated.tolist() == [False, True, True, False]
    kept = rank(to_arrays(said, names), ProtocolConfig())
    assert kept.constrained.tolist() == [0, NEVER, 1, NEVER]
    assert kept.unconstrained.tolist() == [0, 1, 2, 3]
    assert kept.deduplicated.tolist() == [0, NEVER, NEVER, NEVER]


@given(small_graphs(), small_graphs(), st.sampled_from([0.25, 0.5, 1.0]))
def test_a_relation_hits_where_rewards_say_so(pred, gold, threshold):
    names, protocol = Names(), ProtocolConfig(iou_threshold=threshold)
    overlap = Overlap(to_arrays(pred, names), to_arrays(gold, names), protocol)
    objects = object_hits(pred, gold, iou(pred.boxes_xyxy, gold.boxes_xyxy), threshold)
    assert overlap.objects().tolist() == objects.tolist()
    found = overlap.hits(overlap.pair_hits(Mode.sgdet))
    assert found.tolist() == triplet_hits(pred, gold, objects).tolist()


SIDES = st.tuples(*[st.integers(0, 6)] * 4)


@given(SIDES, SIDES, st.sampled_from([0.0, 1.0]))
def test_overlap_with_and_without_the_extra_pixel(a, b, extra):
    """Counting cells: a box from x1 to x2 has x2 - x1 of them, or one more."""

    def cells(box):
        return {
            (x, y)
            for x in range(box[0], box[2] + int(extra))
            for y in range(box[1], box[3] + int(extra))
        }

    left, right = (to_arrays(scene([("a", box)]), Names()).boxes for box in (a, b))
    union = len(cells(a) | cells(b))
    expected = len(cells(a) & cells(b)) / union if union else 0.0
    assert iou(left, right, extra)[0, 0] == pytest.approx(expected)
    assert iou(left, right)[0, 0] == iou(left, right, 0.0)[0, 0]


def test_the_extra_pixel_is_the_protocols():
    """Boxes side by side, 9 wide, one pixel between: with +1 they touch, and neither overlaps."""
    names = Names()
    pred, gold = (
        to_arrays(scene([("a", (0, 0, 9, 9))]), names),
        to_arrays(scene([("a", (0, 0, 9, 4))]), names),
    )
    plain = Overlap(pred, gold, ProtocolConfig()).iou[0, 0]
    more = Overlap(pred, gold, ProtocolConfig(box_area=BoxArea.plus_one)).iou[0, 0]
    assert (plain, more) == (pytest.approx(4 / 9), pytest.approx(5 / 10))
    assert iou(pred.boxes, gold.boxes).tolist() == [[pytest.approx(4 / 9)]]
    assert iou(pred.boxes / 90, gold.boxes / 90).tolist() == [[pytest.approx(4 / 9)]]


def test_a_union_is_the_smallest_box_around_both_ends():
    graph = scene([("a", (5, 1, 9, 3)), ("b", (0, 2, 6, 8))], [(0, "on", 1), (1, "on", 1)])
    assert unions(to_arrays(graph, Names())).tolist() == [[0, 1, 9, 8], [0, 2, 6, 8]]


@pytest.mark.parametrize(
    ("predictions", "golds", "recall", "precision"), [(2, 1, 1, 1), (1, 2, 1, 1), (2, 2, 1, 1)]
)
def test_each_object_is_found_by_any_and_right_by_any(predictions, golds, recall, precision):
    """The same man said or annotated twice, and a dog that nobody has in its place."""
    man, dog = ("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))
    found = metrics((scene([man] * predictions), scene([man] * golds)))
    assert (found["object_recall"], found["object_precision"]) == (recall, precision)
    lone = metrics((scene([man] * predictions), scene([*[man] * golds, dog])))
    assert lone["object_recall"] == pytest.approx(golds / (golds + 1))
    assert lone["object_precision"] == 1


@pytest.mark.parametrize(("cutoff", "hit"), [(81, 0), (82, 1)])
def test_filling_up_counts_the_vocabularys_predicates_alone(cutoff, hit):
    """`on` is the 31st predicate: after 2 written ones and the first pair's 49 others it has rank 82."""
    nodes = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 50, 60, 60))]
    wrong = scene(nodes, [(0, "under", 2), (0, "under", 1)])
    found = metrics(
        (wrong, scene(nodes, [(0, "on", 1)])),
        vocabulary=VOCABULARIES["vg150"],
        ng_fill=NgFill.zero_scores,
        cutoffs=[cutoff],
    )
    assert found[f"ngR@{cutoff}"] == hit


def test_where_training_showed_every_triplet_none_is_unseen():
    nodes = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))]
    gold = scene(nodes, [(0, "on", 1)])
    assert scored((gold, gold), unseen=frozenset()).values["zR"] == 0
    assert scored((gold, gold), unseen=frozenset({("man", "on", "dog")})).values["zR"] == 1
