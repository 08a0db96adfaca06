"""The worked example of each docstring, and a few edges, for terms beyond the reference's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PX, completion, scene, small_graphs

from sgg.config.reward import SimilarityKind
from sgg.reward.case import ScoredCompletion
from sgg.reward.registry import TERMS
from sgg.reward.score import RewardSpec, Scorer, score
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.match import assign
from sgg.text.codec import GraphSpec, parse, render

SIDE = 100
TAGGED = GraphSpec(PX.frame, reasoning=True)


def box(i):
    x, y = i % 10 * 10, i // 10 * 10
    return (x, y, x + 8, y + 8)


def named(*names):
    return [(name, box(i)) for i, name in enumerate(names)]


def case(text_or_graph, gold, spec=PX, kind=SimilarityKind.exact):
    text = text_or_graph
    if isinstance(text, SceneGraph):
        text = render(text, PX, SIDE, SIDE)
    parsed = parse(text, spec, SIDE, SIDE)
    return ScoredCompletion(parsed, gold, assign(parsed.graph, gold, SIDE, SIDE, kind), text)


def value(name, pred, gold, **options):
    return TERMS[name].function(case(pred, gold), **options)


GOLD = scene(named("man", "dog", "hat"), [(0, "walks", 1), (0, "wears", 2)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", 0),
        (completion(), 0.25),
        ('<think>a</think><answer>{"objects": [{"id": "man.1", "bbox": [0, 0, 8', 0.25),
        (completion([("man.1", [0, 0, 8, 8]), ("dog.2", [0, 0, 8])]), 0.5),
        (completion([("man.1", [0, 0, 8, 8])]), 0.75),
        (f"<think></think><answer>{completion([('man.1', [0, 0, 8, 8])])}</answer>", 1),
    ],
)
def test_format_graded_climbs_by_quarters(text, expected):
    assert TERMS["format_graded"].function(case(text, GOLD, TAGGED)) == expected


def test_answered_is_0_for_failures_alone():
    assert [
        value("answered", t, GOLD) for t in ("no", completion(), completion([("a", [1, 2, 3])]))
    ] == [0] * 3
    assert value("answered", completion([("man.1", [0, 0, 8, 8]), ("dog.2", [0])]), GOLD) == 1


def test_reasoning_wants_words_in_a_closed_thought_at_the_start():
    texts = ["<think></think>", "<think>A man rides.</think>", "<think>A man", "x <think>a</think>"]
    assert [value("reasoning", t, GOLD) for t in texts] == [0, 1, 0, 0]
    assert value("reasoning", texts[1], GOLD, min_words=4) == 0


def test_length_is_a_straight_line_between_its_limits():
    assert [value("length", "x" * n, GOLD) for n in (4096, 6144, 8192, 9999)] == [1, 0.5, 0, 0]


def test_nodes_too_many_cost_by_the_larger_side():
    """Three gold, six said, all gold among them: 3/3 over gold, 3/6 over the larger."""
    pred = scene(named("man", "dog", "hat", "cat", "cup", "box"))
    for name in ("node_acc", "node_box", "node_iou2"):
        assert value(name, pred, GOLD) == pytest.approx(1)
        assert value(name, pred, GOLD, over="larger") == pytest.approx(0.5)


def test_node_iou2_squares():
    """Upper half of the one gold box: IoU .5, squared .25."""
    pred = scene([("man", (0, 0, 40, 20))])
    assert value("node_iou2", pred, scene([("man", (0, 0, 40, 40))])) == 0.25


def test_node_f1_hallucination_and_category_f1_by_hand():
    """F1: 2 · 2 / 5. Hallucination: 1 of 4. Names: {man, dog} of {man, man, dog} and {man, dog, cat}."""
    gold = scene(named("man", "dog"))
    assert value("node_f1", scene(named("man", "dog", "hat")), gold) == pytest.approx(0.8)
    assert value("node_hallucination", scene(named("man", "dog", "hat", "cat")), GOLD) == -0.25
    gold = scene(named("man", "man", "dog"))
    assert value("category_f1", scene(named("cat", "dog", "man")), gold) == pytest.approx(2 / 3)


def test_node_ap_of_tied_boxes_is_precision_times_recall_and_guarded():
    """Two gold men, four said, both hit: recall 1, precision 1/2; guard 2/4."""
    gold = scene(named("man", "man"))
    pred = scene(named("man", "man", "man", "man"))
    assert value("node_ap", pred, gold, guard=False) == 0.5
    assert value("node_ap", pred, gold) == 0.25


def test_edge_ap_by_hand():
    """One predicate, two gold, four said, two hit: 1 · 2/4, guard 2/4."""
    gold = scene(named("a", "b", "c"), [(0, "on", 1), (1, "on", 2)])
    pred = scene(named("a", "b", "c"), [(0, "on", 1), (1, "on", 2), (2, "on", 0), (2, "on", 1)])
    assert value("edge_ap", pred, gold, guard=False) == 0.5
    assert value("edge_ap", pred, gold) == 0.25


def test_edge_r_mr_by_hand():
    """Three `on` hit, one `riding` missed: (3/4 + 1/2) / 2; α 1 is recall alone."""
    edges = [(0, "on", 1), (1, "on", 2), (2, "on", 0)]
    gold = scene(named("a", "b", "c"), [*edges, (0, "riding", 2)])
    pred = scene(named("a", "b", "c"), edges)
    assert value("edge_r_mr", pred, gold) == 0.625
    assert value("edge_r_mr", pred, gold, alpha=1.0) == 0.75


def test_edge_rare_weighs_by_inverse_frequency():
    """w(on) = 2, w(riding) = 10: `riding` alone hit gives 10/12; without counts all alike: 1/2."""
    gold = scene(named("a", "b"), [(0, "on", 1), (0, "riding", 1)])
    pred = scene(named("a", "b"), [(0, "riding", 1)])
    assert value("edge_rare", pred, gold, counts={"on": 100, "riding": 1}) == pytest.approx(10 / 12)
    assert value("edge_rare", pred, gold, counts={"on": 100, "flying": 1}) == pytest.approx(10 / 12)
    assert value("edge_rare", pred, gold) == 0.5
    assert value("edge_rare", pred, gold, counts={"on": 9}) == 0.5  # the commonest is the rarest


def test_edge_weighted_by_hand():
    """One hit of two said, four gold: (1/2 + 1/4) / 2."""
    names = named("a", "b", "c", "d", "e")
    gold = scene(names, [(i, "on", i + 1) for i in range(4)])
    pred = scene(names, [(0, "on", 1), (4, "on", 0)])
    assert value("edge_weighted", pred, gold) == 0.375


def test_edge_hallucination_is_the_square():
    """Two of four hit nothing: −(1/2)²."""
    names = named("a", "b", "c", "d", "e")
    gold = scene(names, [(0, "on", 1), (1, "on", 2)])
    pred = scene(names, [(i, "on", i + 1) for i in range(4)])
    assert value("edge_hallucination", pred, gold) == -0.25
    assert value("edge_hallucination", scene(names), gold) == 0


def test_edge_cls_needs_no_boxes():
    """`man on horse` said, of two gold: 1/2, declared with boxes, without, or not at all."""
    gold = scene(named("man", "horse", "dog"), [(0, "on", 1), (2, "near", 0)])
    said = [("man.1", "on", "horse.2")]
    whole = [("man.1", [50, 50, 60, 60]), ("horse.2", [0, 0, 5, 5])]
    for objects in (whole, [(i, None) for i, _ in whole], []):
        assert value("edge_cls", completion(objects, said), gold) == 0.5


def test_count_guard_is_a_factor():
    """Five gold: five said 1, twenty said 1/4; a failed completion 0."""
    names = named(*"abcdefghijklmnopqrstu")
    gold = scene(names, [(i, "on", i + 1) for i in range(5)])
    for said, expected in [(5, 1), (20, 0.25)]:
        pred = scene(names, [(i, "on", i + 1) for i in range(said)])
        assert value("count_guard", pred, gold) == expected
    assert value("count_guard", "no", gold) == 0
    assert value("count_guard", scene(named("a", "b")), scene(named("a")), of="objects") == 0.5


def test_duplicates_are_counted_as_components():
    """A man twice on one box, and a dog: 1 of 3; his relation said of both men as well: 2 of 5."""
    nodes = [("man", (0, 0, 40, 40)), ("Man", (0, 0, 40, 39)), ("dog", (50, 50, 90, 90))]
    assert value("duplicates", scene(nodes), GOLD) == pytest.approx(-1 / 3)
    twice = scene(nodes, [(0, "on", 2), (1, "on", 2)])
    assert value("duplicates", twice, GOLD) == pytest.approx(-2 / 5)
    assert value("duplicates", scene(named("man", "man")), GOLD) == 0


def test_coverage_pays_for_what_the_group_disagrees_on():
    """Gold 1 found by both, gold 2 by one of two: weights 0 and 1/4, values 1 and 0."""
    both = case(GOLD, GOLD)
    one = case(SceneGraph(GOLD.nodes, GOLD.edges[:1]), GOLD)
    coverage = TERMS["coverage"].function
    assert coverage([both, one]) == [1, 0]
    assert coverage([both, both]) == [0, 0]
    assert coverage([both, case("no", GOLD)], of="objects") == [1, 0]


# ---- invariants


@st.composite
def generic(draw, names=("man", "dog", "hat")):
    """Graphs whose boxes are all different, so that the assignment has no ties."""
    count = draw(st.integers(1, 5))
    seed = draw(st.integers(0, 10_000))
    nodes = []
    for i in range(count):
        x, y = (seed * (7 + i)) % 53 + i * 0.37, (seed * (11 + i)) % 47 + i * 0.53
        size = 20 + (seed * (3 + i)) % 17 + 0.71 * i
        nodes.append((draw(st.sampled_from(names)), (x, y, x + size, y + size * 1.13)))
    ends = st.integers(0, count - 1)
    edge = st.tuples(ends, st.sampled_from(["on", "near", "wears"]), ends)
    return scene(nodes, draw(st.lists(edge, max_size=6)))


ALL = RewardSpec(dict.fromkeys(TERMS, 1.0), similarity=SimilarityKind.table)


@given(generic(), generic(), st.randoms(use_true_random=False))
def test_order_of_nodes_edges_and_ids_changes_nothing(pred, gold, random):
    """Objects and relations in another order, and with it other ids, on both sides."""

    def shuffled(graph):
        order = list(range(len(graph.nodes)))
        random.shuffle(order)
        graph = graph.reorder(order)
        edges = list(graph.edges)
        random.shuffle(edges)
        return SceneGraph(graph.nodes, tuple(edges))

    def parts(pred_graph, gold_graph):
        objects = [
            {"id": f"{n.name}.{i + 1}", "bbox": list(n.box)} for i, n in enumerate(pred_graph.nodes)
        ]
        ids = [o["id"] for o in objects]
        relations = [(ids[e.subject], e.predicate, ids[e.object]) for e in pred_graph.edges]
        text = completion([(o["id"], o["bbox"]) for o in objects], relations)
        found = Scorer(ALL, PX).group([text, "no"], gold_graph, SIDE, SIDE)[0].breakdown
        return {name: v for name, v in found.items() if name != "length"}

    assert parts(pred, gold) == pytest.approx(parts(shuffled(pred), shuffled(gold)))


@given(small_graphs(), small_graphs().filter(lambda g: g.edges), st.data())
def test_a_right_triplet_never_lowers_recall(pred, gold, data):
    """Any gold relation is added, its two nodes with it."""
    edge = data.draw(st.sampled_from(gold.edges))
    n = len(pred.nodes)
    nodes = (*pred.nodes, gold.nodes[edge.subject], gold.nodes[edge.object])
    more = SceneGraph(nodes, (*pred.edges, Edge(n, edge.predicate, n + 1)))
    for name in ("edge_hard", "edge_r_mr", "edge_rare", "edge_relax"):
        assert value(name, more, gold) >= value(name, pred, gold) - 1e-9


@given(small_graphs(), small_graphs())
def test_one_alone_and_one_among_others_earn_the_same(pred, gold):
    """Completions of a group are matched together; each keeps the numbers it has alone."""
    texts = [render(g, PX, SIDE, SIDE) for g in (pred, gold, SceneGraph())] + ["no"]
    mix = RewardSpec(dict.fromkeys([n for n, t in TERMS.items() if not t.group], 1.0))
    together = Scorer(mix, PX).group(texts, gold, SIDE, SIDE)
    for text, reward in zip(texts, together, strict=True):
        assert reward.breakdown == pytest.approx(score(text, gold, SIDE, SIDE, PX, mix).breakdown)


def test_many_distinct_twins_are_told_apart_by_exact_copies_alone():
    """Past 256 distinct objects: 300 jittered men and one exact copy: 1 of 301."""
    nodes = tuple(Node("man", (0.0, 0.0, 50.0 + i / 1000, 50.0)) for i in range(300))
    graph = SceneGraph((*nodes, nodes[0]))
    text = completion([(f"man.{i}", list(n.box)) for i, n in enumerate(graph.nodes)])
    assert value("duplicates", text, GOLD) == pytest.approx(-1 / 301)
