"""Recall, mean recall and precision by hand and against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import ALL_MODES, metrics, scored
from strategies import naive_overlap, scene, small_graphs

from sgg.config.data import Duplicates
from sgg.config.protocol import Absent, Mode
from sgg.metrics.recall import Estimate
from sgg.scene.graph import Edge, SceneGraph
from sgg.scene.vocab import Vocabulary, canonical

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 50, 60, 60))]
GOLD = scene(NODES, [(0, "on", 1), (0, "near", 1), (1, "on", 2), (0, "has", 2)])
PARTLY = scene(NODES, [(2, "on", 2), (0, "has", 2), (1, "on", 2), (0, "has", 2)])
"""Ranks: has 1, (1, on, 2) 2; two of the four gold relations, three right ones of four said."""
EMPTY = SceneGraph()
NO_GOLD = scene(NODES)


@pytest.mark.parametrize(("k", "expected"), [(1, 0), (2, 1 / 4), (3, 2 / 4), (20, 2 / 4)])
def test_recall_at_k_counts_the_first_k_as_written(k, expected):
    found = metrics((PARTLY, GOLD), cutoffs=[k])
    assert (found[f"R@{k}"], found["R"]) == (expected, 2 / 4)


def test_images_without_gold_are_left_out_and_images_without_a_completion_count_0():
    """(1/2 + 0) / 2: of three images one has no gold relation, one no prediction."""
    found = metrics((PARTLY, GOLD), (EMPTY, GOLD), (PARTLY, NO_GOLD))
    assert (found["R@20"], found["images_counted"]) == (1 / 4, 2)
    assert metrics((PARTLY, NO_GOLD))["R"] == 0


def test_a_predicate_of_one_image_counts_as_much_as_any():
    """One image has them all: on 1/2, has 1, near 0; the pooled mean divides by the same three."""
    found = metrics((PARTLY, GOLD), absent=Absent.present)
    assert found["mR"] == found["mR_pooled_present"] == pytest.approx(1 / 2)


def test_a_mean_is_that_of_the_last_axis():
    rates = np.array([[0.5, 1.0], [0.0, 1.0]])
    assert Estimate(rates, rates).mean(rates).tolist() == [0.75, 0.5]
    harmonic = Estimate(rates, rates, harmonic=True).mean(rates)
    assert harmonic.tolist() == pytest.approx([2 / 3, 0])


def test_mean_recall_averages_images_in_which_the_predicate_occurs():
    """Mean recalls are on 1/4, has 1/2, near 0.

    on: 1/2 in the first image, 0 in the second. has: 1 and 0. near: 0 and 0. Of four
    predicates of the vocabulary: (1/4 + 1/2) / 4; of the three present: / 3; pooled: on 1 of 4, has 1 of 2.
    """
    images = [(PARTLY, GOLD), (EMPTY, GOLD), (EMPTY, NO_GOLD)]
    four = Vocabulary("four", ("man", "dog", "hat"), ("on", "near", "has", "eating"))
    assert metrics(*images, vocabulary=four)["mR"] == pytest.approx(0.75 / 4)
    assert metrics(*images, vocabulary=four, absent=Absent.present)["mR"] == pytest.approx(0.25)
    assert metrics(*images)["mR"] == pytest.approx(0.25)
    assert metrics(*images)["mR_pooled_present"] == pytest.approx((1 / 4 + 1 / 2 + 0) / 3)
    rows = {r["predicate"]: r for r in scored(*images, vocabulary=four).predicates}
    assert [rows[p]["R"] for p in ("on", "near", "has", "eating")] == [1 / 4, 0, 1 / 2, 0]
    assert [rows[p]["gold"] for p in ("on", "near", "has", "eating")] == [4, 2, 2, 0]
    assert (rows["on"]["predicted"], rows["on"]["correct"], rows["on"]["group"]) == (2, 1, "head")


def test_predicates_of_the_vocabulary_are_compared_canonically():
    gold = scene(NODES, [(0, "in-front_of", 1)])
    said = scene(NODES, [(0, "In front of", 1)])
    two = Vocabulary("two", ("man",), ("in_front of", "on"))
    assert metrics((said, gold), vocabulary=two)["mR"] == 1 / 2


def test_precision_pools_relations_over_images():
    """3 of 4, 0 of 1, 0 of 0: 3/5. Within the first 2, one predicate a pair: 1 of 2 and 0 of 1."""
    found = metrics(
        (PARTLY, GOLD), (scene(NODES, [(0, "on", 1)]), NO_GOLD), (EMPTY, GOLD), cutoffs=[2]
    )
    assert found["precision"] == 3 / 5
    assert found["precision@2"] == 1 / 3
    assert found["F1"] == pytest.approx(2 * 0.6 * 0.25 / 0.85)


def test_duplicates_help_no_recall_but_fill_ranks_unless_dropped():
    """`on` thrice, then `has`: at K = 2 the second is out of reach, unless duplicates are taken out."""
    gold = scene(NODES, [(0, "on", 1), (0, "has", 2)])
    said = scene(NODES, [(0, "on", 1)] * 3 + [(0, "has", 2)])
    options = {"cutoffs": [2], "graph_constraint": False}
    found = metrics((said, gold), **options)
    assert (found["R@2"], found["R_deduplicated@2"], found["duplicate_rate"]) == (1 / 2, 1, 2 / 4)
    assert metrics((said, gold), **options, duplicates=Duplicates.drop)["R@2"] == 1


def test_a_repeated_object_makes_a_repeated_relation():
    """A second man on the same box is the same man: his relation repeats the first one's."""
    said = scene([*NODES, NODES[0]], [(0, "on", 1), (3, "on", 1)])
    assert metrics((said, GOLD))["duplicate_rate"] == 1 / 2


def test_one_prediction_may_hit_two_gold_relations_but_counts_once():
    gold = scene([*NODES, ("man", (0, 0, 10, 9))], [(0, "on", 1), (3, "on", 1)])
    found = metrics((scene(NODES, [(0, "on", 1)]), gold))
    assert (found["R"], found["precision"]) == (1, 1)


def test_objects_are_pooled_and_want_name_and_place():
    """Of 3 gold objects: the man is named otherwise, the hat is elsewhere: 1/3; with none said 1/6."""
    nodes = [("cat", NODES[0][1]), ("Dog", NODES[1][1]), ("hat", (0, 0, 10, 10))]
    found = metrics((scene(nodes), GOLD), (EMPTY, GOLD))
    assert (found["object_recall"], found["object_precision"]) == (1 / 6, 1 / 3)


def test_the_graph_constraint_ranks_one_predicate_a_pair():
    """on, then near, on one pair: R sees the first, ng-R both, at ranks 0 and 1."""
    said = scene(NODES, [(0, "on", 1), (0, "near", 1)])
    found = metrics((said, GOLD), cutoffs=[1])
    assert (found["R"], found["ngR"], found["ngR@1"]) == (1 / 4, 2 / 4, 1 / 4)
    assert metrics((said, GOLD), graph_constraint=False)["R"] == 2 / 4


def test_phrdet_looks_at_the_union_alone():
    """Subject and object boxes swapped: both IoU 0, the union is whole."""
    gold = scene([("man", (0, 0, 10, 10)), ("man", (20, 0, 30, 10))], [(0, "on", 1)])
    said = scene([("man", (20, 0, 30, 10)), ("man", (0, 0, 10, 10))], [(0, "on", 1)])
    found = metrics((said, gold), modes=ALL_MODES)
    assert (found["R"], found["phrdet R"]) == (0, 1)


def test_sgcls_is_given_the_boxes_and_predcls_the_labels():
    """The boxes are gold's; the dog is called a cat: SGCls misses for the label, PredCls does not."""
    gold = scene(NODES, [(0, "on", 1), (0, "has", 2)])
    said = scene([NODES[0], ("cat", NODES[1][1]), NODES[2]], [(0, "on", 1), (0, "has", 2)])
    found = metrics((said, gold), modes=ALL_MODES)
    assert (found["R"], found["sgcls R"], found["predcls R"]) == (1 / 2, 1 / 2, 1)
    away = scene([("man", (100, 100, 110, 110)), *NODES[1:]], [(0, "on", 1)])
    assert metrics((away, gold), modes=ALL_MODES)["predcls R"] == 0


def test_zero_shot_recall_is_over_unseen_triplets_of_images_that_have_some():
    """(man, has, hat) is unseen: found in the first image, not in the second, absent in the third."""
    other = scene(NODES, [(0, "on", 1)])
    unseen = frozenset({("man", "has", "hat")})
    found = metrics((PARTLY, GOLD), (EMPTY, GOLD), (other, other), unseen=unseen)
    assert found["zR"] == 1 / 2
    assert "zR" not in metrics((PARTLY, GOLD))


@given(
    st.lists(st.tuples(small_graphs(), small_graphs()), min_size=1, max_size=4), st.integers(1, 4)
)
def test_recalls_equal_plain_counting(images, k):
    """Nested loops over the definition, in plain Python."""

    def hit(pred, p, gold, g):
        ends = [(p.subject, g.subject), (p.object, g.object)]
        return (
            canonical(p.predicate) == canonical(g.predicate)
            and all(canonical(pred.nodes[a].name) == canonical(gold.nodes[b].name) for a, b in ends)
            and all(naive_overlap(pred.nodes[a].box, gold.nodes[b].box)[0] >= 0.5 for a, b in ends)
        )

    recalls, by_predicate = [], {}
    for pred, gold in images:
        flags = [any(hit(pred, p, gold, g) for p in pred.edges[:k]) for g in gold.edges]
        if flags:
            recalls.append(sum(flags) / len(flags))
        for name in {canonical(e.predicate) for e in gold.edges}:
            mine = [
                f for f, e in zip(flags, gold.edges, strict=True) if canonical(e.predicate) == name
            ]
            by_predicate.setdefault(name, []).append(sum(mine) / len(mine))
    found = metrics(*images, cutoffs=[k], graph_constraint=False)
    assert found[f"R@{k}"] == pytest.approx(sum(recalls) / len(recalls) if recalls else 0)
    means = [sum(v) / len(v) for v in by_predicate.values()]
    assert found[f"mR@{k}"] == pytest.approx(sum(means) / len(means) if means else 0)


@given(small_graphs(), small_graphs(), st.randoms())
def test_order_of_nodes_and_gold_changes_nothing(pred, gold, random):
    """Nodes of both and gold's edges in any order; predicted edges keep theirs, which ranks."""
    found = metrics((pred, gold), modes=[Mode.sgdet, Mode.phrdet])

    def shuffled(graph, edges):
        order = list(range(len(graph.nodes)))
        random.shuffle(order)
        mixed = list(graph.reorder(order).edges)
        if edges:
            random.shuffle(mixed)
        return SceneGraph(graph.reorder(order).nodes, tuple(mixed))

    again = metrics((shuffled(pred, False), shuffled(gold, True)), modes=[Mode.sgdet, Mode.phrdet])
    without_ap = {k for k in found if not k.startswith("AP")}  # equal scores: boxes rank as written
    assert {k: again[k] for k in without_ap} == pytest.approx({k: found[k] for k in without_ap})


@given(small_graphs(), small_graphs(), st.data())
def test_adding_a_right_relation_lowers_no_recall(pred, gold, data):
    """Gold's own objects and one of its relations, written last."""
    if not gold.edges:
        return
    edge = data.draw(st.sampled_from(gold.edges))
    shift = len(pred.nodes)
    more = Edge(edge.subject + shift, edge.predicate, edge.object + shift)
    richer = SceneGraph(pred.nodes + gold.nodes, (*pred.edges, more))
    before, after = (metrics((p, gold), modes=ALL_MODES) for p in (pred, richer))
    recalls = [k for k in before if "R" in k.split("@")[0] and "pooled" not in k]
    assert all(after[k] >= before[k] - 1e-12 for k in recalls)
    assert after["R"] > 0


@given(st.lists(st.tuples(small_graphs(), small_graphs()), min_size=1, max_size=3))
def test_everything_stays_in_its_range(images):
    found = scored(*images, modes=ALL_MODES, vocabulary=Vocabulary("v", ("man", "dog"), ("on",)))
    lengths = ("relations_per_image", "images_counted")
    rates = {k: v for k, v in found.values.items() if k not in lengths}
    assert all(-1e-12 <= v <= 1 + 1e-12 for v in (*rates.values(), *found.mapped.values()))
