"""From text to reward: the mix, and the reference's defects (a) to (i), each with the right value."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ANY_TEXT, PX, completion, scene, small_graphs

from sgg.config.reward import MatchWeights, SimilarityKind
from sgg.errors import SggError
from sgg.reward.registry import TERMS
from sgg.reward.score import Group, RewardSpec, Scorer, score
from sgg.reward.terms import edges, form, guards, nodes
from sgg.scene.graph import SceneGraph, node_id
from sgg.scene.similarity import similarity
from sgg.scene.vocab import PSG_OBJECTS
from sgg.text.codec import ErrorKind, GraphSpec, render

SIDE = 100
CORE = (
    *("format", "node_acc", "node_box"),
    *("edge_soft", "edge_hard", "edge_relax", "edge_precision", "edge_f1"),
)
"""Terms that are 1 for a perfect completion and 0 for one that says nothing."""
ALL = RewardSpec(dict.fromkeys(CORE, 1.0))
TAGGED = GraphSpec(PX.frame, reasoning=True)


def parts(text, gold, spec=PX, mix=ALL):
    return score(text, gold, SIDE, SIDE, spec, mix).breakdown


def box(index):
    """Boxes that do not touch each other, ten in a row."""
    x, y = index % 10 * 10, index // 10 * 10
    return (x, y, x + 8, y + 8)


def row(*names):
    return [(name, box(i)) for i, name in enumerate(names)]


def ids(graph):
    return [(node_id(graph, i), list(n.box)) for i, n in enumerate(graph.nodes)]


# ---- the mix


def test_32_groups_are_matched_at_a_time(monkeypatch):
    sizes, match = [], Scorer._cases
    monkeypatch.setattr(Scorer, "_cases", lambda s, part: sizes.append(len(part)) or match(s, part))
    group = Group(["no"], scene(row("man")), SIDE, SIDE)
    assert len(Scorer(ALL, PX).groups([group] * 33)) == 33
    assert sizes == [32, 1]


def test_every_term_is_in_the_table_by_its_own_name():
    functions = {
        name: function
        for module in (edges, form, guards, nodes)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert {name: term.function for name, term in TERMS.items()} == functions


def test_the_total_is_the_weighted_sum_of_the_unweighted_parts():
    """Terms: format 1, node_acc 1/2, edge_hard 1/2: 1 · 1 + 2 · .5 + 5 · .5 = 4.5."""
    gold = scene(row("man", "dog", "hat", "cat"), [(0, "on", 1), (1, "by", 2)])
    pred = scene(row("man", "dog"), [(0, "on", 1)])
    mix = RewardSpec({"format": 1, "node_acc": 2, "edge_hard": 5})
    reward = score(render(pred, PX, SIDE, SIDE), gold, SIDE, SIDE, PX, mix)
    assert reward.breakdown == {"format": 1, "node_acc": 0.5, "edge_hard": 0.5}
    assert list(reward.breakdown) == list(mix.weights)
    assert reward.total == pytest.approx(4.5)
    assert reward.parsed.graph == pred


def test_options_reach_their_term_alone():
    """IoU .75 passes .5 and not .8."""
    gold = scene([("man", (0, 0, 40, 40))], [(0, "on", 0)])
    text = completion([("man.1", [0, 0, 40, 30])], [("man.1", "on", "man.1")])
    mix = RewardSpec({"edge_hard": 1, "edge_f1": 1}, {"edge_hard": {"iou_threshold": 0.8}})
    assert parts(text, gold, mix=mix) == {"edge_hard": 0, "edge_f1": 1}


def test_similarity_and_matching_weights_are_the_mixs():
    """A `man` on the dog's place: to the dog by place, to the man once names outweigh boxes."""
    gold = scene([("man", (0, 0, 50, 50)), ("dog", (50, 50, 100, 100))])
    text = completion([("man.1", [50, 50, 100, 100])])
    weights = {"node_acc": 1.0}
    assert parts(text, gold, mix=RewardSpec(weights)) == {"node_acc": 0}
    by_name = RewardSpec(weights, match=MatchWeights(name=99))
    assert parts(text, gold, mix=by_name) == {"node_acc": 0.5}
    alike = similarity(SimilarityKind.table, ["man"], ["dog"])[0, 0] / 2
    by_table = RewardSpec(weights, similarity=SimilarityKind.table)
    assert parts(text, gold, mix=by_table) == {"node_acc": pytest.approx(alike)}


@settings(max_examples=150)
@given(
    st.one_of(
        ANY_TEXT,
        small_graphs().map(lambda g: render(g, TAGGED, SIDE, SIDE)),
        st.tuples(small_graphs(), st.integers(0, 200)).map(
            lambda gn: render(gn[0], PX, SIDE, SIDE)[: gn[1]]
        ),
    ),
    small_graphs(),
    st.sampled_from([PX, TAGGED]),
    st.sampled_from([SimilarityKind.exact, SimilarityKind.table]),
)
def test_every_term_stays_in_its_range_on_any_text(text, gold, spec, kind):
    reward = score(
        text, gold, SIDE, SIDE, spec, RewardSpec(dict.fromkeys(TERMS, 1.0), similarity=kind)
    )
    for name, value in reward.breakdown.items():
        assert TERMS[name].low - 1e-9 <= value <= TERMS[name].high + 1e-9, name
    assert reward.total == pytest.approx(sum(reward.breakdown.values()))


@given(small_graphs())
def test_rendered_gold_earns_everything(gold):
    """Overlapping boxes of one name may change places in the matching, at no loss."""
    found = parts(render(gold, TAGGED, SIDE, SIDE), gold, TAGGED)
    if gold.nodes:
        assert found == pytest.approx(dict.fromkeys(CORE, 1.0))


# ---- the reference's defects, in the order of docs


def test_defect_a_format_is_1_for_a_graph_and_0_for_the_empty_one():
    assert parts(completion([("man.1", [0, 0, 9, 9])]), scene())["format"] == 1
    assert parts(completion(), scene())["format"] == 0


def test_defect_b_a_dangling_relation_costs_itself_alone():
    """Gold 2, both said, and one relation to `ghost.9`: recall 2/2 and no form, but no zeros."""
    gold = scene(row("man", "dog"), [(0, "on", 1), (1, "by", 0)])
    said = [("man.1", "sees", "ghost.9"), ("man.1", "on", "dog.2"), ("dog.2", "by", "man.1")]
    found = parts(completion(ids(gold), said), gold)
    assert found["edge_hard"] == found["edge_soft"] == found["node_acc"] == found["node_box"] == 1
    assert found["format"] == 0


def test_defect_b_a_box_of_three_numbers_costs_its_object_alone():
    """One of three objects lost, and with it one of two relations: 2/3, 2/3, 1/2."""
    gold = scene(row("man", "dog", "hat"), [(0, "on", 1), (0, "wears", 2)])
    objects = ids(gold)
    objects[2] = (objects[2][0], [20, 0, 28])
    said = [("man.1", "on", "dog.2"), ("man.1", "wears", "hat.3")]
    found = parts(completion(objects, said), gold)
    assert found["node_acc"] == found["node_box"] == pytest.approx(2 / 3)
    assert found["edge_hard"] == found["edge_soft"] == 1 / 2
    assert found["edge_precision"] == 1


def test_defect_c_spam_costs_precision_and_f1():
    """5 right and 30 guesses: recall 5/5, precision 5/35, F1 = 2 · 5 / (35 + 5)."""
    gold = scene(row("man", "dog", "hat", "cat", "cup"), [(i, "on", (i + 1) % 5) for i in range(5)])
    names = [i for i, _ in ids(gold)]
    right = [(names[i], "on", names[(i + 1) % 5]) for i in range(5)]
    spam = [(names[i % 5], f"guess {i}", names[(i + 2) % 5]) for i in range(30)]
    found = parts(completion(ids(gold), spam + right), gold)
    assert found["edge_hard"] == 1
    assert found["edge_precision"] == pytest.approx(1 / 7)
    assert found["edge_f1"] == pytest.approx(1 / 4)


def test_defect_d_several_predicates_of_one_pair_all_count():
    """`on` and `riding` between the same two: 2/2, whichever comes last; one of them: 1/2."""
    gold = scene(row("man", "horse"), [(0, "on", 1), (0, "riding", 1)])
    both = [("man.1", "riding", "horse.2"), ("man.1", "on", "horse.2")]
    for said, share in [(both, 1), (both[::-1], 1), (both[:1], 0.5)]:
        found = parts(completion(ids(gold), said), gold)
        assert found["edge_hard"] == found["edge_soft"] == found["edge_relax"] == share


def test_defect_e_of_duplicate_ids_the_first_box_stays():
    """The right box first: 1; the right box second: the wrong one stays, IoU 0 and L1 = 2 · .5."""
    gold = scene([("man", (0, 0, 40, 40))], [(0, "on", 0)])
    right, wrong = ("man.1", [0, 0, 40, 40]), ("man.1", [50, 0, 90, 40])
    said = [("man.1", "on", "man.1")]
    first, second = (parts(completion(o, said), gold) for o in ([right, wrong], [wrong, right]))
    assert first["node_box"] == first["edge_hard"] == 1
    assert second["edge_hard"] == 0
    assert second["node_box"] == pytest.approx(5 * 0.367879441 / 7)
    assert first["format"] == second["format"] == 0


def test_defect_e_one_prediction_satisfies_one_gold_relation():
    """Two gold men in nearly one place on one horse, one of them said: 1/2."""
    gold = scene(
        [("man", (0, 0, 40, 40)), ("man", (0, 0, 40, 38)), ("horse", (50, 50, 90, 90))],
        [(0, "on", 2), (1, "on", 2)],
    )
    text = completion(
        [("man.1", [0, 0, 40, 39]), ("horse.2", [50, 50, 90, 90])], [("man.1", "on", "horse.2")]
    )
    found = parts(text, gold)
    assert found["edge_hard"] == 1 / 2
    assert found["edge_precision"] == 1


def test_defect_f_hyphenated_psg_classes_match():
    """All 27, as PSG spells them and as people do: every term 1."""
    names = [n for n in PSG_OBJECTS if "-" in n]
    assert len(names) == 27
    gold = scene(row(*names), [(i, "in front of", i + 1) for i in range(26)])
    spoken = [(n.replace("-", " "), b) for n, b in row(*names)]
    plain = scene(spoken, [(i, "In-front_of", i + 1) for i in range(26)])
    for pred in (gold, plain):
        assert parts(render(pred, PX, SIDE, SIDE), gold) == pytest.approx(dict.fromkeys(CORE, 1.0))


def test_defect_g_wrong_labels_earn_nothing_by_spelling_and_little_by_the_table():
    """Right boxes, all three labels wrong. Exact: 0. Table: the product of its three cosines, < .1."""
    gold = scene(row("man", "horse"), [(0, "riding", 1)])
    wrong = scene(row("pizza", "window"), [(0, "made of", 1)])
    text = render(wrong, PX, SIDE, SIDE)
    exact = parts(text, gold)
    assert [exact[name] for name in ("node_acc", "edge_soft", "edge_relax", "edge_hard")] == [0] * 4
    kind = SimilarityKind.table
    pairs = [("pizza", "man"), ("made of", "riding"), ("window", "horse")]
    cosines = [float(similarity(kind, [a], [b])[0, 0]) for a, b in pairs]
    found = parts(text, gold, mix=RewardSpec(dict.fromkeys(CORE, 1.0), similarity=kind))
    expected = cosines[0] * cosines[1] * cosines[2]
    assert expected < 0.1
    assert found["edge_soft"] == pytest.approx(expected)
    assert found["edge_relax"] == pytest.approx(expected)
    assert found["edge_hard"] == 0


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", ErrorKind.no_json),
        ("I cannot see an image.", ErrorKind.no_json),
        ('{"objects": [{"id": "man.1", "bbox": [0, 0, 8', ErrorKind.truncated),
        ('{"objects": [{"id": "man.1" "bbox": [0, 0, 8, 8]}]}', ErrorKind.malformed),
        (completion([(7, [0, 0, 8, 8])]), ErrorKind.empty),
    ],
)
def test_defect_h_what_went_wrong_is_said(text, failure):
    gold = scene(row("man"), [(0, "on", 0)])
    reward = score(text, gold, SIDE, SIDE, PX, ALL)
    assert reward.parsed.failure is failure
    assert reward.total == 0


def test_defect_h_only_what_is_text_is_forgiven():
    """A bug is no bad completion: an unknown term or option raises."""
    with pytest.raises(SggError, match="edge_hard"):
        parts("", SceneGraph(), mix=RewardSpec({"edge_hrad": 1.0}))
    with pytest.raises(TypeError):
        parts("", SceneGraph(), mix=RewardSpec({"format": 1.0}, {"format": {"strict": True}}))


def test_defect_i_the_word_json_stays_in_names():
    gold = scene(row("json board"), [(0, "json", 0)])
    text = completion([("json board.1", list(box(0)))], [("json board.1", "json", "json board.1")])
    assert parts(f"```json\n{text}\n```", gold) == pytest.approx(dict.fromkeys(CORE, 1.0))


@pytest.mark.parametrize("bad", [[40, 40, 0, 0], [0, 0, 0, 40], [0, 40, 40, 40], [40, 0, 0, 40]])
def test_defect_i_inverted_and_empty_boxes_are_no_objects(bad):
    """The one gold object is lost: no node, no relation, no form."""
    gold = scene([("man", (0, 0, 40, 40))], [(0, "on", 0)])
    found = parts(completion([("man.1", bad)], [("man.1", "on", "man.1")]), gold)
    assert found == dict.fromkeys(CORE, 0.0)
