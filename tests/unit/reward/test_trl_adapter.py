"""The door to TRL: one function per term, each batch scored once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from strategies import PX, completion, scene

from sgg.reward import score
from sgg.reward.score import RewardSpec
from sgg.reward.trl_adapter import reward_functions
from sgg.text.codec import ErrorKind
from sgg.tracking.names import known

MIX = RewardSpec({"edge_hard": 5.0, "format": 1.0, "node_acc": 2.0})
GOLD = scene([("man", (0, 0, 9, 9)), ("dog", (20, 20, 30, 30))], [(0, "on", 1)])
OBJECTS = [("man.1", [0, 0, 9, 9]), ("dog.2", [20, 20, 30, 30])]
PERFECT = completion(OBJECTS, [("man.1", "on", "dog.2")])
HALF = completion(OBJECTS[:1])
"""One of two objects, no relation."""
CUT = PERFECT[:-5]
"""Both objects, the relation cut."""


@pytest.fixture
def calls(monkeypatch):
    """Texts that were parsed, in order; the parsing itself stays."""
    seen, parse = [], score.parse

    def counting(text, *args):
        seen.append(text)
        return parse(text, *args)

    monkeypatch.setattr(score, "parse", counting)
    return seen


def columns(count, **more):
    rows = {"gold": [GOLD] * count, "width": [50] * count, "height": [40] * count}
    return rows | {"prompts": [None] * count, "completion_ids": [[1]] * count} | more


def test_functions_come_in_the_mixs_order_by_their_names():
    functions = reward_functions(MIX, PX)
    assert [f.__name__ for f in functions] == ["edge_hard", "format", "node_acc"]


def test_a_batch_is_scored_once_for_all_terms_and_the_next_one_anew(calls):
    """Perfect: 1, 1, 1. Half: 0, 1, 1/2. Cut: no relation, no form, both names."""
    edge, form, names = reward_functions(MIX, PX)
    batch = [PERFECT, HALF, CUT]
    assert edge(completions=batch, **columns(3)) == [1, 0, 0]
    assert form(completions=batch, **columns(3)) == [1, 1, 0]
    assert names(completions=batch, **columns(3)) == [1, 0.5, 1]
    assert calls == batch
    other = [HALF]
    assert names(completions=other, **columns(1)) == [0.5]
    assert form(completions=other, **columns(1)) == [1]
    assert calls == [*batch, HALF]


def test_an_equal_batch_of_other_images_is_scored_anew(calls):
    """The same words for another image are another completion."""
    edge, *_ = reward_functions(MIX, PX)
    assert edge(completions=[PERFECT], **columns(1)) == [1]
    moved = GOLD.with_boxes(GOLD.boxes_xyxy + 10)
    assert edge(completions=[PERFECT], **columns(1, gold=[moved])) == [0]
    assert len(calls) == 2


def test_each_completion_meets_its_own_gold_and_size():
    """norm-free pixels: the gold of row 0 has no dog, that of row 1 is whole."""
    edge, _, names = reward_functions(MIX, PX)
    golds = [scene([("man", (0, 0, 9, 9)), ("hat", (20, 20, 30, 30))], [(0, "on", 1)]), GOLD]
    batch = [PERFECT, PERFECT]
    assert edge(completions=batch, **columns(2, gold=golds)) == [0, 1]
    assert names(completions=batch, **columns(2, gold=golds)) == [0.5, 1]


def test_conversational_completions_are_one_assistant_message():
    edge, *_ = reward_functions(MIX, PX)
    batch = [[{"role": "assistant", "content": text}] for text in (PERFECT, "no")]
    assert edge(completions=batch, **columns(2)) == [1, 0]


def test_columns_of_another_length_are_a_bug():
    edge, *_ = reward_functions(MIX, PX)
    with pytest.raises(ValueError, match="zip"):
        edge(completions=[PERFECT], **columns(2))


def test_counts_of_completions_are_logged_once_per_batch():
    """Of five completions one is cut, one has no JSON: failed 2/5.

    Objects 2 + 1 + 2 + 0 + 2, relations 1 + 1. The last one has two relations to an undeclared object: one
    completion with such a fault. A failed completion counts by what makes it one.
    """
    logged: list[tuple[str, float]] = []
    functions = reward_functions(MIX, PX)
    dangling = ("man.1", "on", "cat.9")
    faulty = completion(OBJECTS, [("man.1", "on", "dog.2"), dangling, dangling])
    batch = [PERFECT, HALF, CUT, "no", faulty]
    for function in functions:
        function(completions=batch, **columns(5, log_metric=lambda *row: logged.append(row)))
    assert len(logged) == len(dict(logged)) == len(ErrorKind) + 3
    assert {name: value for name, value in logged if value} == {
        "completion/failed/no_json": 0.2,
        "completion/failed/truncated": 0.2,
        "completion/problem/dangling_relation": 0.2,
        "completion/failed": 0.4,
        "completion/objects": 1.4,
        "completion/relations": 0.4,
    }
    assert all(known(name) for name, _ in logged)


def test_an_empty_cut_completion_counts_as_cut():
    logged: dict[str, float] = {}
    edge, *_ = reward_functions(MIX, PX)
    edge(completions=['{"objects": [{"id"'], **columns(1, log_metric=logged.__setitem__))
    assert logged["completion/failed/truncated"] == logged["completion/failed"] == 1
    assert logged["completion/failed/empty"] == 0


def test_equal_completions_of_a_group_are_scored_once(calls):
    edge, _, names = reward_functions(MIX, PX)
    batch = [PERFECT, HALF, PERFECT, PERFECT, HALF]
    assert edge(completions=batch, **columns(5)) == [1, 0, 1, 1, 0]
    assert names(completions=batch, **columns(5)) == [1, 0.5, 1, 1, 0.5]
    assert calls == [PERFECT, HALF]


def test_a_group_term_sees_its_own_group_alone():
    """Group 1: one of two completions finds the relation: 1 and 0. Group 2: both do: 0 and 0."""
    other = GOLD.with_boxes(GOLD.boxes_xyxy + [[0, 0, 1, 1]] * 2)
    (coverage,) = reward_functions(RewardSpec({"coverage": 1.0}), PX)
    batch = [PERFECT, HALF, PERFECT, PERFECT]
    golds = [GOLD, GOLD, other, other]
    assert coverage(completions=batch, **columns(4, gold=golds)) == [1, 0, 0, 0]


def test_a_warming_weight_is_logged_and_the_values_stay_unweighted():
    """Ten steps: at step 3, the fourth, 4/10 of weight 5."""
    mix = RewardSpec({"edge_hard": 5.0, "format": 1.0}, warmup_steps={"edge_hard": 10})
    logged = {}
    state = SimpleNamespace(global_step=3)
    edge, _ = reward_functions(mix, PX)
    more = {"trainer_state": state, "log_metric": lambda name, value: logged.update({name: value})}
    assert edge(completions=[PERFECT], **columns(1, **more)) == [1]
    assert logged["reward/edge_hard/weight"] == pytest.approx(2.0)
    assert "reward/format/weight" not in logged
