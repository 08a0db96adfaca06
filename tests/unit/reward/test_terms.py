"""Each term's formula by hand, and the one-to-one matching by brute force."""

from __future__ import annotations

import math
from itertools import permutations
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import naive_overlap, scene, small_graphs

from sgg.config.reward import SimilarityKind
from sgg.reward.case import ScoredCompletion
from sgg.reward.registry import TERMS
from sgg.scene.graph import Edge, SceneGraph
from sgg.scene.match import assign
from sgg.scene.similarity import similarity
from sgg.scene.vocab import canonical
from sgg.text.codec import ErrorKind, Parsed, Problem

SIDE = 100
terms = SimpleNamespace(**{name: term.function for name, term in TERMS.items()})
MAN, DOG, HAT = ("man", (0, 0, 40, 40)), ("dog", (50, 50, 90, 90)), ("hat", (50, 0, 90, 40))
EDGE_TERMS = [
    terms.edge_soft,
    terms.edge_hard,
    terms.edge_precision,
    terms.edge_f1,
    terms.edge_relax,
]


def case(pred, gold, kind=SimilarityKind.exact, problems=(), tags=True):
    parsed = Parsed(pred, tuple(Problem(p) for p in problems), tags)
    return ScoredCompletion(parsed, gold, assign(pred, gold, SIDE, SIDE, kind))


# ---- format


@pytest.mark.parametrize("kind", ErrorKind)
def test_format_forgives_unknown_names_alone(kind):
    forgiven = kind in (ErrorKind.unknown_class, ErrorKind.unknown_predicate)
    assert terms.format(case(scene([MAN]), scene([MAN]), problems=[kind])) == float(forgiven)


def test_format_wants_an_object_and_the_tags():
    assert terms.format(case(scene([MAN]), scene([DOG]))) == 1
    assert terms.format(case(scene([MAN]), scene([DOG]), tags=False)) == 0
    assert terms.format(case(SceneGraph(), SceneGraph())) == 0


# ---- nodes


def test_node_acc_by_hand():
    """A man matched by a man, dog by nothing: (1 + 0) / 2; with a cat on the dog's place still 1 / 2."""
    gold = scene([MAN, DOG])
    assert terms.node_acc(case(scene([MAN]), gold)) == 0.5
    assert terms.node_acc(case(scene([MAN, ("cat", DOG[1])]), gold)) == 0.5
    assert terms.node_acc(case(scene([("Dog", DOG[1]), HAT, MAN]), gold)) == 1


def test_node_acc_by_the_table():
    """`woman` for `man` earns what the table says, on the one node of two that is matched."""
    alike = float(similarity(SimilarityKind.table, ["woman"], ["man"])[0, 0])
    assert 0 < alike < 1
    found = case(scene([("woman", MAN[1])]), scene([MAN, DOG]), SimilarityKind.table)
    assert terms.node_acc(found) == pytest.approx(alike / 2)


def test_node_box_by_hand():
    """Upper half of a box: IoU .5, L1 = 20 / 100: (2 · .5 + 5 · e^-.2) / 7 = .7277, over two nodes."""
    expected = (1 + 5 * math.exp(-0.2)) / 7
    assert expected == pytest.approx(0.7277, abs=5e-5)
    pred = scene([("man", (0, 0, 40, 20))])
    assert terms.node_box(case(pred, scene([MAN]))) == pytest.approx(expected)
    assert terms.node_box(case(pred, scene([MAN, DOG]))) == pytest.approx(expected / 2)
    assert terms.node_box(case(scene([MAN, DOG]), scene([DOG, MAN]))) == 1


@pytest.mark.parametrize("term", [terms.node_acc, terms.node_box])
def test_without_gold_nodes_only_a_failed_completion_earns_nothing(term):
    assert term(case(scene([MAN]), SceneGraph())) == 1
    assert term(case(SceneGraph(), SceneGraph(), problems=[ErrorKind.no_json])) == 0


# ---- relations


GOLD = scene([MAN, DOG, HAT], [(0, "walks", 1), (0, "wears", 2), (0, "in", 2), (2, "near", 1)])


@pytest.mark.parametrize(
    ("edges", "recall", "precision", "f1"),
    [
        # (0, 1) right; (1, 0) the wrong way round; (0, near, 2) the wrong predicate
        ([(0, "walks", 1), (1, "walks", 0), (0, "near", 2)], 1 / 4, 1 / 3, 2 / 7),
        # both predicates of one pair count; said twice, one of them is a miss
        ([(0, "in", 2), (0, "wears", 2), (0, "wears", 2)], 2 / 4, 2 / 3, 4 / 7),
        ([(0, "walks", 1), (0, "wears", 2), (0, "in", 2), (2, "near", 1)], 1, 1, 1),
        # the right predicate, subject or object alone
        ([(0, "wears", 1), (1, "in", 2), (1, "near", 2)], 0, 0, 0),
        ([(1, "on", 1)], 0, 0, 0),
        ([], 0, 0, 0),
    ],
)
def test_recall_precision_and_f1_by_hand(edges, recall, precision, f1):
    found = case(scene([MAN, DOG, HAT], edges), GOLD)
    assert terms.edge_hard(found) == pytest.approx(recall)
    assert terms.edge_precision(found) == pytest.approx(precision)
    assert terms.edge_f1(found) == pytest.approx(f1)
    # exact names and perfect boxes: a soft hit is a hard one
    assert terms.edge_soft(found) == pytest.approx(recall)
    assert terms.edge_relax(found) == pytest.approx(recall)


@pytest.mark.parametrize(
    "term", [terms.edge_hard, terms.edge_precision, terms.edge_f1, terms.edge_relax]
)
def test_the_threshold_is_an_option_and_inclusive(term):
    """The man's box is halved: IoU .5."""
    gold = scene([MAN, DOG], [(0, "walks", 1)])
    found = case(scene([("man", (0, 0, 40, 20)), DOG], [(0, "walks", 1)]), gold)
    assert term(found) == 1
    assert term(found, iou_threshold=0.51) == 0


def test_edge_soft_has_no_overlap_gate():
    """Far boxes, but the assignment maps both ends: 1; without the relation between them: 0."""
    gold = scene([MAN, DOG], [(0, "walks", 1)])
    far = [("man", (0, 0, 5, 5)), ("dog", (95, 95, 99, 99))]
    assert terms.edge_soft(case(scene(far, [(0, "walks", 1)]), gold)) == 1
    assert terms.edge_hard(case(scene(far, [(0, "walks", 1)]), gold)) == 0
    assert terms.edge_soft(case(scene(far, [(1, "walks", 0)]), gold)) == 0
    assert terms.edge_soft(case(scene([MAN], [(0, "walks", 0)]), gold)) == 0


@pytest.mark.parametrize("term", [terms.edge_soft, terms.edge_relax])
def test_soft_terms_multiply_three_similarities_and_take_the_best_predicate(term):
    """s(woman, man) · max(s(on, standing on), s(eating, standing on)) · s(dog, dog), of two gold."""
    kind = SimilarityKind.table

    def alike(a, b):
        return float(similarity(kind, [a], [b])[0, 0])

    gold = scene([MAN, DOG, HAT], [(0, "standing on", 1), (1, "near", 2)])
    pred = scene([("woman", MAN[1]), DOG, HAT], [(0, "eating", 1), (0, "on", 1)])
    best = max(alike("on", "standing on"), alike("eating", "standing on"))
    expected = alike("woman", "man") * best / 2
    assert 0 < expected < 0.5
    assert term(case(pred, gold, kind)) == pytest.approx(expected)
    # the other way round, the end that is merely alike is the object
    gold, pred = (
        SceneGraph(g.nodes, tuple(Edge(o, p, s) for s, p, o in g.edges)) for g in (gold, pred)
    )
    assert term(case(pred, gold, kind)) == pytest.approx(expected)


def test_edge_relax_lets_one_prediction_serve_two_gold_relations():
    """As the reference does; `edge_hard` is one to one: 1 of 2."""
    gold = scene([MAN, ("man", (0, 0, 40, 38)), DOG], [(0, "walks", 2), (1, "walks", 2)])
    found = case(scene([MAN, DOG], [(0, "walks", 1)]), gold)
    assert terms.edge_relax(found) == 1
    assert terms.edge_hard(found) == 0.5


def test_one_to_one_takes_the_largest_matching_and_not_the_first():
    """Prediction 0 overlaps both gold men, prediction 1 the first alone: both can be served.

    IoU of (0,0,40,30) with (0,0,40,40) is .75 and with (0,0,40,20) is .67; (0,0,40,40) with
    (0,0,40,20) is .5, so at a threshold of .6 prediction 1 has no other choice.
    """
    gold = scene([MAN, ("man", (0, 0, 40, 20)), DOG], [(0, "walks", 2), (1, "walks", 2)])
    pred = scene([("man", (0, 0, 40, 30)), MAN, DOG], [(0, "walks", 2), (1, "walks", 2)])
    assert terms.edge_hard(case(pred, gold), iou_threshold=0.6) == 1


@given(small_graphs(), small_graphs(), st.sampled_from([0.1, 0.34, 0.5]))
def test_hits_are_the_largest_one_to_one_matching(pred, gold, threshold):
    """Brute force: try every way to give each gold relation a prediction of its own."""

    def fits(p, g):
        same = [
            canonical(x) == canonical(y)
            for x, y in zip(pred.triplet(p), gold.triplet(g), strict=True)
        ]
        ends = ((p.subject, g.subject), (p.object, g.object))
        return all(same) and all(
            naive_overlap(pred.nodes[a].box, gold.nodes[b].box)[0] >= threshold for a, b in ends
        )

    few, many = sorted((pred.edges, gold.edges), key=len)
    flip = few is gold.edges
    best = max(
        sum(fits(m, f) if flip else fits(f, m) for f, m in zip(few, way, strict=True))
        for way in permutations(many, len(few))
    )
    found = case(pred, gold)
    if gold.edges:
        assert terms.edge_hard(found, iou_threshold=threshold) * len(gold.edges) == pytest.approx(
            best
        )
        assert terms.edge_precision(found, iou_threshold=threshold) * len(
            pred.edges
        ) == pytest.approx(best)


@given(
    small_graphs(), small_graphs(), st.sampled_from([SimilarityKind.exact, SimilarityKind.table])
)
def test_f1_is_the_harmonic_mean_and_relaxing_never_costs(pred, gold, kind):
    found = case(pred, gold, kind)
    recall, precision = terms.edge_hard(found), terms.edge_precision(found)
    if gold.edges and recall + precision:
        harmonic = 2 * recall * precision / (recall + precision)
        assert terms.edge_f1(found) == pytest.approx(harmonic)
    if gold.edges:
        assert terms.edge_relax(found) >= recall - 1e-9


# ---- nothing to find


@pytest.mark.parametrize("term", EDGE_TERMS)
def test_without_gold_relations_a_completion_without_any_is_right_unless_it_failed(term):
    gold = scene([MAN])
    assert term(case(scene([MAN]), gold)) == 1
    assert term(case(SceneGraph(), gold, problems=[ErrorKind.truncated])) == 0


@pytest.mark.parametrize("term", EDGE_TERMS)
def test_without_gold_relations_invented_ones_cost_precision_and_f1(term):
    found = case(scene([MAN, DOG], [(0, "walks", 1)]), scene([MAN]))
    assert term(found) == float(term not in (terms.edge_precision, terms.edge_f1))
