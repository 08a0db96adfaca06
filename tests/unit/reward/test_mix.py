"""Weights that warm up, clips, gates, terms from outside, workers; and what ends with a message."""

from __future__ import annotations

import signal

import pytest
from strategies import PX, completion, scene

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.plan.validate import validate
from sgg.reward import workers as parallel
from sgg.reward.mix import reward_mix
from sgg.reward.score import RewardSpec, Scorer, with_counts
from sgg.reward.workers import BatchScorer, groups_of

HERE = "tests.unit.reward.outside_term" if __name__.startswith("tests.") else "outside_term"
GOLD = scene([("man", (0, 0, 9, 9)), ("dog", (20, 20, 30, 30))], [(0, "on", 1)])
OBJECTS = [("man.1", [0, 0, 9, 9]), ("dog.2", [20, 20, 30, 30])]
PERFECT = completion(OBJECTS, [("man.1", "on", "dog.2")])
DANGLING = completion(OBJECTS, [("man.1", "on", "dog.2"), ("man.1", "on", "ghost.3")])
"""Recall 1, form 0."""


def one(mix, text=PERFECT):
    return Scorer(mix, PX).group([text], GOLD, 50, 40)[0]


def problems(*overrides):
    config = compose_config(["stage=grpo", "reward=none", *overrides])
    with pytest.raises(SggError) as caught:
        validate(config)
    return str(caught.value)


def test_weights_warm_up_in_steps():
    """Four steps: 1/4, 2/4, 3/4, then the whole; a term without warm-up is whole at once."""
    mix = RewardSpec({"edge_hard": 8.0, "format": 1.0}, warmup_steps={"edge_hard": 4})
    assert [mix.weights_at(s)["edge_hard"] for s in (0, 1, 2, 3, 9)] == [2, 4, 6, 8, 8]
    assert [mix.weights_at(s)["format"] for s in (0, 9)] == [1, 1]


def test_what_fails_in_a_users_term_names_the_term(importable):
    (importable / "failing_terms.py").write_text(
        "def nothing(case): return None\n"
        "def short(cases): return [1.0] * (len(cases) - 1)\n"
        "def group(completions): return [0.0 for _ in completions]\n"
        "def good(case): return 1.0\n"
    )
    for function, said in (
        ("nothing", "TypeError: float() argument must be"),
        ("short", "ValueError: zip() argument 2 is shorter"),
        ("group", "TypeError: 'ScoredCompletion' object is not iterable"),
    ):
        path = f"failing_terms:{function}"
        with pytest.raises(SggError) as raised:
            one(RewardSpec({"mine": 1.0}, import_paths={"mine": path}))
        assert f"reward.terms.mine ({path}) failed: {said}" in str(raised.value)
    assert one(RewardSpec({"mine": 1.0}, import_paths={"mine": "failing_terms:good"})).total == 1


def test_a_gate_multiplies_and_need_not_be_in_the_mix():
    mix = RewardSpec({"edge_hard": 5.0}, gates={"edge_hard": "format"})
    assert one(mix).breakdown == {"edge_hard": 1}
    assert one(mix, DANGLING).breakdown == {"edge_hard": 0}


def test_a_clip_bounds_the_value_before_its_weight():
    """F1 1 clipped to .4, weight 5: 2."""
    mix = RewardSpec({"edge_f1": 5.0}, clips={"edge_f1": (0.1, 0.4)})
    assert one(mix).total == pytest.approx(2)
    assert one(mix, "no").breakdown == {"edge_f1": 0.1}


def test_a_term_from_outside():
    paths = {"mine": f"{HERE}:names", "place": f"{HERE}:rank"}
    mix = RewardSpec({"mine": 1.0, "place": 1.0}, {"mine": {"bonus": 0.5}}, import_paths=paths)
    found = Scorer(mix, PX).group(["no", PERFECT, PERFECT], GOLD, 50, 40)
    assert [r.breakdown for r in found] == [
        {"mine": 0.5, "place": 0},
        {"mine": 2.5, "place": 1},
        {"mine": 2.5, "place": 1},
    ]


def test_counts_come_from_the_data_unless_they_are_set():
    mix = RewardSpec({"edge_rare": 1.0, "format": 1.0})
    assert with_counts(mix, lambda: {"on": 3}).options == {"edge_rare": {"counts": {"on": 3}}}
    own = RewardSpec({"edge_rare": 1.0}, {"edge_rare": {"counts": {"on": 1}}})
    assert with_counts(own, lambda: {"on": 3}) is own


def test_workers_give_the_same_numbers(monkeypatch):
    monkeypatch.setattr(parallel, "MIN_COMPLETIONS", 1)
    other = GOLD.with_boxes(GOLD.boxes_xyxy + 1)
    texts, golds = [PERFECT, DANGLING, "no", PERFECT], [GOLD, GOLD, other, other]
    groups = groups_of(texts, golds, [50] * 4, [40] * 4)
    assert [len(g.texts) for g in groups] == [2, 2]
    mix = RewardSpec({"edge_soft": 1.0, "coverage": 2.0, "node_box": 1.0})
    shared = BatchScorer(mix, PX, workers=2)
    try:
        assert shared.rewards(groups) == BatchScorer(mix, PX).rewards(groups)
    finally:
        shared.close()


def test_workers_take_equal_shares_and_score_as_one_process(monkeypatch):
    """A worker's two functions, here: it ignores the signal that tells the run to end."""
    monkeypatch.setattr(parallel, "_scorers", [])
    before = signal.getsignal(signal.SIGUSR2)
    try:
        parallel._start(RewardSpec({"format": 1.0}), PX)
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)
    groups = groups_of([PERFECT, "no"], [GOLD, GOLD], [100] * 2, [100] * 2)
    assert [reward.total for reward in parallel._score(groups)] == [1, 0]
    for count, sizes in ((3, [4, 4, 4]), (5, [3, 3, 3, 3]), (12, [1] * 12), (20, [1] * 12)):
        assert [len(part) for part in parallel._chunks(groups * 12, count)] == sizes


def test_a_preset_becomes_a_mix():
    keys = [
        "reward=balanced",
        "reward.terms.edge_f1.warmup_steps=50",
        "reward.terms.edge_f1.clip=[0,0.9]",
        "reward.unknown=zero",
    ]
    mix = reward_mix(compose_config(keys).reward)
    assert mix.weights["edge_f1"] == 5
    assert mix.gates["edge_f1"] == "answered"
    assert (mix.warmup_steps, mix.clips) == ({"edge_f1": 50}, {"edge_f1": (0, 0.9)})
    assert mix.similarity.unknown.name == "zero"


def test_a_term_of_weight_0_may_be_a_gate_with_options():
    keys = [
        "reward.terms.count_guard.weight=0",
        "reward.terms.count_guard.options.of=objects",
        "reward.terms.node_acc.gate=count_guard",
    ]
    mix = reward_mix(compose_config(["reward=none", *keys]).reward)
    assert list(mix.weights) == ["node_acc"]
    crowd = completion([*OBJECTS, ("a.3", [1, 1, 2, 2]), ("b.4", [1, 1, 2, 2])])
    assert one(mix, crowd).breakdown == {"node_acc": 0.5}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reward.terms.edge_hrad.weight=1"], "edge_hrad: no such term. Did you mean 'edge_hard'?"),
        (
            ["reward.terms.edge_f1.options.iou_treshold=1"],
            "edge_f1.options.iou_treshold: the term has no such option. Did you mean 'iou_threshold'?",
        ),
        (["reward.terms.edge_f1.gate=fromat"], "gate=fromat: no such term. Did you mean 'format'?"),
        (["reward.terms.edge_f1.gate=1"], "gate=1: no such term"),
        (["reward.terms.edge_f1.gate=edge_f1"], "cannot gate itself"),
        (["reward.terms.edge_f1.gate=duplicates"], "a penalty cannot be a factor"),
        (["reward.terms.edge_f1.clip=[1,0]"], "the first number must not be above the second"),
        (["reward.terms.edge_f1.warmup_steps=-1"], "warmup_steps=-1: must be 0 or more"),
        (["reward.terms.mine.import_path=outside_term"], "must be package.module:function"),
        (["reward.terms.edge_f1.import_path=3"], "must be package.module:function"),
        (["reward.terms.mine.import_path=no_such:f"], "No module named 'no_such'"),
        (
            [f"reward.terms.mine.import_path={HERE}:nmaes"],
            "no function nmaes. Did you mean 'names'?",
        ),
        ([f"reward.terms.mine.import_path={HERE}:takes_anything"], "keyword-only options"),
        (
            [f"reward.terms.mine.import_path={HERE}:names", "reward.terms.mine.options.bonsu=1"],
            "options.bonsu: the term has no such option. Did you mean 'bonus'?",
        ),
        (["reward.terms.edge_f1.weight=1", "reward.unknown=zero"], "Take reward.similarity=table"),
        (
            ["reward.terms.edge_f1.weight=1", "reward.embedding=x"],
            "reward.embedding=x would be ignored",
        ),
        (["reward.terms.edge_f1.weight=1", "reward.workers=-1"], "reward.workers=-1: must be 0 or"),
        (
            [
                "reward.terms.edge_f1.weight=1",
                "reward.similarity=embedding",
                "reward.embedding=/no",
            ],
            "reward.embedding=/no: holds no config.json",
        ),
    ],
)
def test_what_is_wrong_dies_in_words_before_anything_is_loaded(words, said):
    assert said in problems(*words)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("reward.terms.edge_f1.wieght=1", "edge_f1.wieght: no such key. Did you mean 'weight'?"),
        ("reward.terms.edge_f1.weight=much", "edge_f1.weight=much: must be a number"),
        ("reward.terms.edge_f1.clip=[1]", "must be [lowest, highest]"),
        ("reward.terms.edge_f1.warmup_steps=0.5", "must be a whole number of steps"),
        ("reward.terms.edge_f1.options=3", "must be options by name"),
    ],
)
def test_a_value_of_the_wrong_kind_dies_when_it_is_composed(word, said):
    with pytest.raises(SggError) as caught:
        compose_config(["stage=grpo", "reward=none", word])
    assert said in str(caught.value)


def test_a_group_term_wants_whole_groups_on_each_process():
    words = ["reward.terms.coverage.weight=1", "hardware.processes_per_node=3"]
    said = problems(*words, "stage.prompts_per_step=4", "stage.args.num_generations=6")
    assert "sees the whole group" in said


def test_trls_way_of_summing_can_be_chosen():
    """TRL's own field; its value is TRL's to judge when the run starts."""
    key = "stage.args.multi_objective_aggregation=normalize_then_sum"
    config = compose_config(["stage=grpo", "reward=balanced", key])
    validate(config)
    assert config.stage.args["multi_objective_aggregation"] == "normalize_then_sum"
