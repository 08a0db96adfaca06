"""The assignment against brute force over permutations; triplet hits against plain loops."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import naive_overlap, scene, small_graphs

from sgg.config.reward import MatchWeights, SimilarityKind
from sgg.scene.boxes import iou
from sgg.scene.graph import SceneGraph
from sgg.scene.match import assign, assign_group, edge_ends, object_hits, triplet_hits
from sgg.scene.vocab import canonical

WEIGHTS = st.builds(MatchWeights, name=st.floats(0, 5), giou=st.floats(0, 5), l1=st.floats(0, 5))


def naive_cost(pred, gold, width, height, weights):
    a, b = ([v / s for v, s in zip(n.box, (width, height) * 2, strict=True)] for n in (pred, gold))
    different = canonical(pred.name) != canonical(gold.name)
    l1 = sum(abs(x - y) for x, y in zip(a, b, strict=True))
    return weights.name * different + weights.giou * (1 - naive_overlap(a, b)[1]) + weights.l1 * l1


@given(small_graphs(max_nodes=5), small_graphs(max_nodes=5), WEIGHTS)
def test_assignment_costs_no_more_than_any_permutation(pred, gold, weights):
    """Every way to pair the smaller side with the larger one, at most 5! of them."""
    width, height = 6, 9
    match = assign(pred, gold, width, height, weights=weights)
    n, m = len(pred.nodes), len(gold.nodes)
    costs = [[naive_cost(p, g, width, height, weights) for g in gold.nodes] for p in pred.nodes]
    if n >= m:
        ways = [math.fsum(costs[p][g] for g, p in enumerate(w)) for w in permutations(range(n), m)]
    else:
        ways = [math.fsum(costs[p][g] for p, g in enumerate(w)) for w in permutations(range(m), n)]
    pairs = [(p, g) for g, p in enumerate(match.pred_of_gold) if p >= 0]
    assert len(match.pred_of_gold) == m
    assert len({p for p, _ in pairs}) == len(pairs) == min(n, m)
    assert math.fsum(costs[p][g] for p, g in pairs) == pytest.approx(min(ways))
    assert assign(pred, gold, width, height, weights=weights).pred_of_gold == match.pred_of_gold


def test_pairwise_values_by_hand():
    """100 × 200 image; pred is the upper half of gold: IoU .5, L1 = |100 - 50| / 200 = .25."""
    pred = scene([("Man", (0, 0, 100, 50))])
    gold = scene([("man", (0, 0, 100, 100)), ("dog", (0, 0, 100, 50))])
    match = assign(pred, gold, 100, 200)
    assert match.names.tolist() == [[1, 0]]
    assert match.iou.tolist() == [[0.5, 1]]
    assert match.l1.tolist() == [[0.25, 0]]
    assert match.how.kind is SimilarityKind.exact
    assert (match.pair_names, match.pair_iou, match.pair_l1) == ([0, 0], [0, 1], [math.inf, 0])


@pytest.mark.parametrize(("name_weight", "expected"), [(12.9, (-1, 0)), (13.1, (0, -1))])
def test_weights_decide_between_name_and_place(name_weight, expected):
    """A `man` on the dog's place costs `name` with the dog, 2 · (1 + .5) + 5 · 2 = 13 with the man."""
    pred = scene([("man", (50, 50, 100, 100))])
    gold = scene([("man", (0, 0, 50, 50)), ("dog", (50, 50, 100, 100))])
    match = assign(pred, gold, 100, 100, weights=MatchWeights(name=name_weight))
    assert match.pred_of_gold == expected


def test_similar_names_count_by_the_table():
    pred = scene([("woman", (0, 0, 9, 9))])
    gold = scene([("pizza", (0, 0, 9, 9)), ("person", (0, 0, 9, 9))])
    assert assign(pred, gold, 9, 9, SimilarityKind.table).pred_of_gold == (-1, 0)
    assert assign(pred, gold, 9, 9, SimilarityKind.exact).pred_of_gold == (0, -1)


@pytest.mark.parametrize("pred_nodes", [0, 2])
@pytest.mark.parametrize("gold_nodes", [0, 2])
def test_empty_sides_have_empty_values(pred_nodes, gold_nodes):
    nodes = [("man", (0, 0, 1, 1)), ("man", (2, 2, 3, 3))]
    match = assign(scene(nodes[:pred_nodes]), scene(nodes[:gold_nodes]), 4, 4)
    assert match.iou.shape == match.l1.shape == match.names.shape == (pred_nodes, gold_nodes)
    assert match.pred_of_gold == ((0, 1) if pred_nodes else (-1, -1))[:gold_nodes]


def hits_of(pred, gold, threshold):
    """Relations that hit, by objects that hit."""
    overlap = iou(pred.boxes_xyxy, gold.boxes_xyxy)
    return triplet_hits(pred, gold, object_hits(pred, gold, overlap, threshold))


@given(small_graphs(), small_graphs(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_triplet_hits_equal_plain_loops(pred, gold, threshold):
    hits = hits_of(pred, gold, threshold)
    assert hits.shape == (len(pred.edges), len(gold.edges))
    for i, p in enumerate(pred.edges):
        for j, g in enumerate(gold.edges):
            labels = [
                canonical(x) == canonical(y)
                for x, y in zip(pred.triplet(p), gold.triplet(g), strict=True)
            ]
            overlaps = [
                naive_overlap(pred.nodes[a].box, gold.nodes[b].box)[0] >= threshold
                for a, b in ((p.subject, g.subject), (p.object, g.object))
            ]
            assert hits[i, j] == (all(labels) and all(overlaps))


@pytest.mark.parametrize("moved", [0, 1])
def test_both_ends_have_to_overlap(moved):
    nodes = [("man", (0, 0, 10, 10)), ("dog", (50, 50, 60, 60))]
    gold = scene(nodes, [(0, "on", 1)])
    nodes[moved] = (nodes[moved][0], (20, 20, 30, 30))
    pred = scene(nodes, [(0, "on", 1)])
    assert not hits_of(pred, gold, 0.5).any()


@pytest.mark.parametrize(("height", "hit"), [(5, True), (4.99, False)])
def test_the_threshold_is_inclusive(height, hit):
    """10 × 5 in 10 × 10: IoU exactly .5."""
    gold = scene([("man", (0, 0, 10, 10))], [(0, "on", 0)])
    pred = scene([("man", (0, 0, 10, height))], [(0, "on", 0)])
    assert hits_of(pred, gold, 0.5).tolist() == [[hit]]


@pytest.mark.parametrize("side", [100, 640, 333])
def test_overlaps_are_those_of_the_metrics_to_the_last_bit(side):
    """Half of each of these boxes has IoU exactly .5 in pixels, whatever the image's size."""
    halves = [(("man", (0, 0, n, 2 * n)), ("man", (0, 0, 2 * n, 2 * n))) for n in range(1, 40)]
    for half, whole in halves:
        assert assign(scene([half]), scene([whole]), side, side).iou.tolist() == [[0.5]]


def test_edge_ends_keep_their_order_and_shape():
    graph = scene([("a", (0, 0, 1, 1))] * 3, [(2, "on", 0), (1, "on", 2)])
    np.testing.assert_array_equal(edge_ends(graph), [[2, 0], [1, 2]])
    assert edge_ends(SceneGraph()).shape == (0, 2)


def test_completions_matched_together_keep_their_own_pairs():
    """The second completion's man is its second node, and another overlap than the first one's."""
    gold = scene([("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))])
    first = scene([("man", (0, 0, 10, 10))])
    second = scene([("dog", (20, 20, 40, 40)), ("man", (0, 0, 10, 5))])
    matches = assign_group([first, second, first], gold, 50, 50)
    assert [m.pred_of_gold for m in matches] == [(0, -1), (1, 0), (0, -1)]
    assert [m.pair_iou for m in matches] == [[1, 0], [0.5, 1], [1, 0]]
    assert [m.pair_names for m in matches] == [[1, 0], [1, 1], [1, 0]]
    assert [m.pair_l1 for m in matches] == [[0, math.inf], [0.1, 0], [0, math.inf]]
