"""The table of terms: declared ranges, options, and what a term from outside must look like."""

from __future__ import annotations

import inspect
import math

import pytest
from strategies import PX, scene

from sgg.errors import SggError
from sgg.reward import workers as parallel
from sgg.reward.registry import TERMS, find_term, option_problems
from sgg.reward.score import RewardSpec, Scorer
from sgg.reward.trl_adapter import reward_functions
from sgg.reward.workers import BatchScorer
from sgg.scene.graph import SceneGraph
from sgg.text.codec import render

PENALTIES = {"node_hallucination", "edge_hallucination", "duplicates"}
GOLD = scene([("man", (0, 0, 9, 9)), ("dog", (20, 20, 30, 30))], [(0, "on", 1)])


def test_penalties_lie_in_minus_1_to_0_and_all_else_in_0_to_1():
    """Each penalty reaches its floor, so a narrower range would be wrong as well."""
    ranges = {name: (term.low, term.high) for name, term in TERMS.items()}
    assert ranges == {n: (-1.0, 0.0) if n in PENALTIES else (0.0, 1.0) for n in TERMS}


def test_a_terms_options_are_its_keywords_alone():
    assert TERMS["format"].options == []
    assert TERMS["node_ap"].options == ["iou_threshold", "guard"]
    assert TERMS["coverage"].options == ["of", "iou_threshold"]
    assert option_problems("format", TERMS["format"], ["case"]) == [
        "reward.terms.format.options.case: the term has no such option. Allowed: none."
    ]
    (line,) = option_problems("node_acc", TERMS["node_acc"], ["ovr"])
    assert line.endswith("Allowed: over.")
    assert option_problems("edge_rare", TERMS["edge_rare"], []) == []


@pytest.fixture
def outside(importable):
    """A module `someones_terms` with one function of each shape."""
    (importable / "someones_terms.py").write_text(
        "def one(case, *, a=1): return 0.0\n"
        "def group(cases, *, a=1): return [0.0] * len(cases)\n"
        "def misnamed(case, *, cases=1): return 0.0\n"
        "def needy(case, *, most, least=0, counts): return 0.0\n"
        "def positional(case, other): return 0.0\n"
        "def nothing(): return 0.0\n"
        "def keywords(*, case): return 0.0\n"
        "def anything(*cases): return 0.0\n"
    )


def test_an_option_without_a_default_must_be_given(outside):
    term = find_term("mine", "someones_terms:needy")
    assert option_problems("mine", term, ["least"]) == [
        "reward.terms.mine.options.most must be given: the term's function has no default for it."
    ]
    assert option_problems("mine", term, ["most"]) == []


def test_a_term_from_outside_has_no_range_and_says_what_it_sees(outside):
    one, group, misnamed = (
        find_term("mine", f"someones_terms:{name}") for name in ("one", "group", "misnamed")
    )
    assert (one.low, one.high, one.group) == (-math.inf, math.inf, False)
    assert (group.group, misnamed.group) == (True, False)
    assert one.options == ["a"]


@pytest.mark.parametrize("name", ["positional", "nothing", "keywords", "anything"])
def test_a_term_from_outside_takes_a_case_and_keywords(outside, name):
    with pytest.raises(SggError, match="must take one case"):
        find_term("mine", f"someones_terms:{name}")


@pytest.mark.parametrize("path", ["", "module", "module:", ":function", ":"])
def test_an_import_path_names_a_module_and_a_function(path):
    with pytest.raises(SggError, match=r"must be package\.module:function"):
        find_term("mine", path)


def test_only_group_terms_need_whole_groups():
    assert RewardSpec({"format": 1.0}).sees_groups is False
    assert RewardSpec({"coverage": 1.0}).sees_groups is True
    assert RewardSpec({"format": 1.0}, gates={"format": "coverage"}).sees_groups is True


@pytest.mark.parametrize("function", [BatchScorer, reward_functions])
def test_no_process_is_started_unless_asked_for(function):
    assert inspect.signature(function).parameters["workers"].default == 0


def test_workers_score_from_a_thousand_completions_on(monkeypatch):
    """999 completions are scored here, 1,000 by workers; a pool is recorded, not started."""

    class Pool:
        started = 0

        def __init__(self, workers, mp_context, initializer, initargs):
            Pool.started += 1
            assert (workers, mp_context.get_start_method()) == (2, "spawn")
            self.scorer = Scorer(*initargs)

        def map(self, function, parts):
            return [self.scorer.groups(part) for part in parts]

        def shutdown(self):
            Pool.started -= 1

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", Pool)
    scorer = BatchScorer(RewardSpec({"format": 1.0}), PX, workers=2)
    few = [parallel.Group(["no"] * 333, GOLD, 50, 40)] * 3
    assert len(scorer.rewards(few)) == 999
    assert Pool.started == 0
    more = [*few, parallel.Group(["no"], GOLD, 50, 40)]
    assert len(scorer.rewards(more)) == 1000
    assert Pool.started == 1
    scorer.rewards(more)  # the same pool again
    assert Pool.started == 1
    scorer.close()
    scorer.close()
    assert Pool.started == 0


def test_rows_are_cut_where_gold_or_size_changes():
    other = SceneGraph()
    golds, widths = [GOLD, GOLD, other, GOLD, GOLD], [50, 50, 50, 50, 51]
    groups = parallel.groups_of(list("abcde"), golds, widths, [40] * 5)
    assert [g.texts for g in groups] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert [(g.gold is GOLD, g.width, g.height) for g in groups][-1] == (True, 51, 40)


def test_weights_that_warm_up_are_logged_only_with_a_step():
    logged = {}
    mix = RewardSpec({"format": 2.0}, warmup_steps={"format": 4})
    (term,) = reward_functions(mix, PX)
    columns = {"gold": [GOLD], "width": [50], "height": [40], "trainer_state": None}
    assert term([None], ["no"], log_metric=logged.__setitem__, **columns) == [0]
    assert logged["completion/failed"] == 1
    assert not any(name.endswith("/weight") for name in logged)


def test_recalls_of_a_completion_without_relations_are_0():
    """Two gold relations, none said, or more said than gold has: the flags are gold's, one each."""
    names = [(n, (i * 10, 0, i * 10 + 8, 8)) for i, n in enumerate("abc")]
    gold = scene(names, [(0, "on", 1), (0, "on", 1)])
    mix = RewardSpec(dict.fromkeys(["edge_r_mr", "edge_rare", "edge_hard"], 1.0))
    none, many = (
        Scorer(mix, PX).group([text], gold, 100, 100)[0].breakdown
        for text in (_text(names, []), _text(names, [(0, "on", 1)] * 3))
    )
    assert set(none.values()) == {0.0}
    assert set(many.values()) == {1.0}


def _text(nodes, edges):
    return render(scene(nodes, edges), PX, 100, 100)
