"""The limits of terms: thresholds, defaults, empty sides, and sums that one example cannot tell apart."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from strategies import PX, scene

from sgg.config.reward import SimilarityKind
from sgg.reward import case as module
from sgg.reward.case import ScoredCompletion, gold_hit
from sgg.reward.registry import TERMS
from sgg.scene.graph import SceneGraph
from sgg.scene.match import assign
from sgg.text.codec import Parsed, parse, render

SIDE = 100
NAMES = [(name, (i * 10, 0, i * 10 + 8, 8)) for i, name in enumerate("abcdefgh")]


def case(text_or_graph, gold, kind=SimilarityKind.exact):
    text = text_or_graph
    if isinstance(text, SceneGraph):
        text = render(text, PX, SIDE, SIDE)
    parsed = parse(text, PX, SIDE, SIDE)
    return ScoredCompletion(parsed, gold, assign(parsed.graph, gold, SIDE, SIDE, kind), text)


def value(name, pred, gold, **options):
    function = TERMS[name].function
    if TERMS[name].group:
        return function([case(pred, gold), case("no", gold)], **options)[0]
    return function(case(pred, gold), **options)


DOG = ("dog", (50, 50, 90, 90))
GOLD = scene([("man", (0, 0, 40, 40)), DOG], [(0, "on", 1)])
"""The man's box is 40 wide: half of it has IoU .5 with it, and is still a hit."""


def with_man(height):
    return scene([("man", (0, 0, 40, height)), DOG], [(0, "on", 1)])


HITTING = sorted(
    name for name, term in TERMS.items() if "iou_threshold" in term.options and name != "duplicates"
)


@pytest.mark.parametrize("name", HITTING)
def test_a_box_at_the_threshold_hits_and_one_below_does_not(name):
    """IoU 20/40 = .5 is a hit by default, 19/40 is not; at a threshold of .45 both are, at .6 none."""
    parameters = inspect.signature(TERMS[name].function).parameters
    assert parameters["iou_threshold"].default == 0.5
    hit, miss = value(name, GOLD, GOLD), value(name, with_man(1), GOLD)
    assert hit > miss
    assert [value(name, with_man(h), GOLD) for h in (20, 19)] == [hit, miss]
    assert [value(name, with_man(h), GOLD, iou_threshold=0.45) for h in (20, 19)] == [hit, hit]
    assert [value(name, with_man(h), GOLD, iou_threshold=0.6) for h in (20, 19)] == [miss, miss]


@pytest.mark.parametrize(("height", "expected"), [(36, -1 / 3), (35, 0)])
def test_boxes_that_overlap_by_nine_tenths_are_one_object(height, expected):
    nodes = [("man", (0, 0, 40, 40)), ("man", (0, 0, 40, height)), DOG]
    assert value("duplicates", scene(nodes), GOLD) == pytest.approx(expected)


def test_each_part_of_a_triplet_counts_without_boxes():
    gold = scene(NAMES[:2], [(0, "on", 1)])
    wrong = [(2, "on", 1), (0, "near", 1), (0, "on", 2)]
    assert [value("edge_cls", scene(NAMES[:3], [edge]), gold) for edge in wrong] == [0, 0, 0]
    assert value("edge_cls", scene(NAMES[:3], [(0, "on", 1)]), gold) == 1
    assert value("edge_cls", scene(NAMES[:3]), gold) == 0


def test_rarity_lies_on_a_logarithmic_line():
    """Counts 100, 10, 1: weights 2, 6, 10. The middle one alone: 6/18; a count of 0 is as rare as 1."""
    gold = scene(NAMES[:2], [(0, "on", 1), (0, "under", 1), (0, "riding", 1)])
    pred = scene(NAMES[:2], [(0, "under", 1)])
    counts = {"on": 100, "under": 10, "riding": 1}
    assert value("edge_rare", pred, gold, counts=counts) == pytest.approx(6 / 18)
    counts["riding"] = 0  # then `under` is the rarest that has a count: 10, and riding 10 as well
    assert value("edge_rare", pred, gold, counts=counts) == pytest.approx(10 / 22)
    assert value("edge_rare", pred, gold, counts=counts, low=1.0, high=3.0) == pytest.approx(3 / 7)


def test_triplet_ap_is_a_mean_over_golds_predicates():
    """`on`: 2 of 2 gold by 2 said, 1. `near`: 1 of 1 by 2 said, 1/2. Mean 3/4, guard 3/4."""
    gold = scene(NAMES[:4], [(0, "on", 1), (1, "on", 2), (2, "near", 3)])
    pred = scene(NAMES[:4], [(0, "on", 1), (1, "on", 2), (2, "near", 3), (3, "near", 2)])
    assert value("edge_ap", pred, gold, guard=False) == pytest.approx(3 / 4)
    assert value("edge_ap", pred, gold) == pytest.approx(9 / 16)
    assert value("edge_ap", gold, gold) == 1
    assert value("edge_ap", scene(NAMES[:4]), gold) == 0
    # a single relation, as gold has it
    one = scene(NAMES[:2], [(0, "on", 1)])
    assert value("edge_ap", one, one) == 1
    # saying less than gold is no virtue: one of two, 1 · 1/2
    two = scene(NAMES[:4], [(0, "on", 1), (1, "on", 2)])
    assert value("edge_ap", scene(NAMES[:4], [(0, "on", 1)]), two) == 0.5


def test_invented_relations_cost_the_square_of_their_share():
    """One of four hits nothing: −1/16; all do: −1."""
    gold = scene(NAMES[:5], [(0, "on", 1), (1, "on", 2), (2, "on", 3)])
    pred = scene(NAMES[:5], [*[(i, "on", i + 1) for i in range(3)], (4, "on", 0)])
    assert value("edge_hallucination", pred, gold) == -1 / 16
    assert value("edge_hallucination", scene(NAMES[:5], [(4, "on", 0)]), gold) == -1


def test_one_word_is_a_thought():
    texts = ["<think>a</think>", "<think>a b</think>"]
    assert [value("reasoning", text, GOLD) for text in texts] == [1, 1]
    assert [value("reasoning", text, GOLD, min_words=2) for text in texts] == [0, 1]


def test_a_thought_has_lines_and_its_tags_are_in_any_case():
    assert value("reasoning", "<Think>a\nb</THINK>", GOLD, min_words=2) == 1
    assert value("reasoning", "a <think>b</think>", GOLD) == 0


def test_length_without_a_slope_is_a_step():
    """Both limits alike: full value up to the limit, nothing from the next character on."""
    step = {"free_chars": 10, "limit_chars": 10}
    assert [value("length", "x" * n, GOLD, **step) for n in (0, 10, 11)] == [1, 1, 0]
    assert value("length", "x", GOLD) == 1


def test_where_gold_has_no_objects_saying_some_earns_nothing():
    empty = SceneGraph()
    for name in ("node_f1", "category_f1", "node_ap"):
        assert value(name, scene(NAMES[:1]), empty) == 0


def test_object_ap_is_a_mean_over_golds_classes():
    """man: 2 of 2 gold by 2 said, 1. dog: 1 of 1 by 2 said, 1/2. hat: said not at all, 0. Mean 1/2."""
    gold = scene([(n, b) for n, (_, b) in zip(["man", "man", "dog", "hat"], NAMES, strict=False)])
    said = [(n, b) for n, (_, b) in zip(["man", "man", "dog"], NAMES, strict=False)]
    pred = scene([*said, ("dog", NAMES[7][1])])
    assert value("node_ap", pred, gold, guard=False) == pytest.approx(1 / 2)
    assert value("node_ap", pred, gold) == pytest.approx(1 / 2)
    more = scene([*said, ("dog", NAMES[7][1]), ("cup", NAMES[6][1])])
    assert value("node_ap", more, gold) == pytest.approx(1 / 2 * 4 / 5)
    assert value("node_ap", "no", gold) == 0
    # saying less than gold is no virtue: one of two men, 1 · 1/2
    two = scene([("man", b) for _, b in NAMES[:2]])
    assert value("node_ap", scene([("man", NAMES[0][1])]), two) == 0.5
    assert value("node_ap", scene([("man", NAMES[0][1])]), scene([("man", NAMES[0][1])])) == 1


def test_where_nobody_has_a_choice_nothing_is_matched(monkeypatch):
    """Two gold men; the second prediction hits both and may take one of them, or hits the first alone."""
    hits = np.array([[False, False], [True, True]])
    assert gold_hit(hits).sum() == 1
    monkeypatch.setattr(module, "linear_sum_assignment", lambda *_, **__: pytest.fail("matched"))
    assert gold_hit(hits & [True, False]).tolist() == [True, False]
    assert gold_hit(np.eye(3, dtype=bool)).all()


def test_saying_nothing_invents_and_repeats_nothing():
    for name in ("node_hallucination", "edge_hallucination", "duplicates"):
        assert value(name, "no", GOLD) == 0


def test_as_many_as_gold_are_not_too_many():
    names = scene(NAMES[:2])
    assert value("count_guard", names, scene(NAMES[:3])) == 1  # no relation on either side
    assert value("count_guard", names, names, of="objects") == 1


def test_two_objects_are_enough_to_repeat_one_another():
    twins = scene([("man", (0, 0, 40, 40)), ("man", (0, 0, 40, 39))])
    assert value("duplicates", twins, GOLD) == -1 / 2


@pytest.mark.parametrize(("count", "expected"), [(256, -255 / 256), (257, 0)])
def test_up_to_256_distinct_objects_are_compared_pair_by_pair(count, expected):
    nodes = [("man", (0, 0, 50 + i / 1000, 50)) for i in range(count)]
    graph = scene(nodes)
    own = ScoredCompletion(Parsed(graph), GOLD, assign(graph, GOLD, SIDE, SIDE))
    assert TERMS["duplicates"].function(own) == pytest.approx(expected)
