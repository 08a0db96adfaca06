"""A search by Optuna without a run: what is refused before it begins, and what its objective is."""

from __future__ import annotations

import json
import sys

import pytest
from hydra.errors import ConfigCompositionException
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from scoring import ALL_MODES, scored

from launchers.sweep.commands import LaunchOptions
from launchers.sweep.objective import check_objective, objective_of
from launchers.sweep.search import SearchOptions, _edges, search
from sgg.config.compose import compose_config
from sgg.config.overrides import SEARCHES, read_overrides
from sgg.config.protocol import ProtocolConfig
from sgg.errors import SggError
from sgg.metrics.names import metric_names
from sgg.runs.search import SearchRecord, read_search
from sgg.scene.graph import SceneGraph

LOCAL = LaunchOptions("local", 1)
GOOD = {
    **{"objective": "loss", "direction": "minimize", "n_trials": 2, "n_jobs": 1},
    **{"sampler": "tpe", "seed": None, "max_failure_rate": 0.0},
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"objective": None}, "wants hydra.sweeper.objective"),
        ({"direction": None}, "wants hydra.sweeper.direction"),
        ({"direction": "up"}, "direction=up: allowed are maximize and minimize"),
        ({"sampler": "grid"}, "sampler=grid: allowed are tpe and random"),
        ({"n_trials": 0}, "n_trials=0: must be a whole number"),
        ({"n_jobs": 1.5}, "n_jobs=1.5: must be a whole number"),
        ({"seed": "a"}, "seed=a: must be a whole number or null"),
        ({"max_failure_rate": 2}, "max_failure_rate=2: must be a number, 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(wrong, said):
    with pytest.raises(SggError) as error:
        search(["seed=1,2"], [], SearchOptions(**GOOD | wrong), LOCAL)
    assert said in str(error.value)


def test_something_must_be_searched():
    with pytest.raises(SggError, match="nothing to search in"):
        search([], ["seed=1"], SearchOptions(**GOOD), LOCAL)


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_optuna_sweeper._impl", None)
    with pytest.raises(SggError, match=r"pip install 'sgg\[optuna\]'"):
        search(["seed=1,2"], [], SearchOptions(**GOOD), LOCAL)


def test_ends_of_the_space_are_checked_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["stage=sft", f"paths.root={tmp_path}/runs"]
    for space, said in (
        ("data.train.limit=int(interval(-1,8))", "data.train.limit=-1"),
        ("no.such.key=1,2", "no.such"),
        ("reward.terms.edge.weight=1,2", "would be ignored"),
    ):
        with pytest.raises((SggError, ConfigCompositionException)) as error:
            search([space], words, SearchOptions(**GOOD), LOCAL)
        assert said in str(error.value)
    options = SearchOptions(**GOOD | {"objective": "reward/total/mean"})
    with pytest.raises(SggError, match="does not log it here"):
        search(["seed=1,2"], words, options, LOCAL)
    assert not [*tmp_path.iterdir()]


def test_edges_reach_each_end_and_each_choice():
    space, _ = create_params_from_overrides(["a=tag(log,interval(0.1,10))", "b=x,y,z"])
    assert _edges(space) == [["a=0.1", "b=x"], ["a=10.0", "b=z"], ["a=0.1", "b=y"]]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("stage=eval", "R"),
        ("stage=eval", "failure_rate"),
        ("stage=sft", "loss"),
        ("stage=sft", "token_accuracy"),
        ("stage=grpo", "reward/total/mean"),
        ("stage=grpo reward=hard_recall", "reward/format/mean"),
        ("stage=grpo", "completion/failed"),
    ],
)
def test_numbers_that_a_run_has(words, name):
    check_objective(name, compose_config(words.split()))


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        ("stage=eval", "eval/R", "Did you mean 'R'"),
        ("stage=eval", "loss", "no metric of protocol=shapes"),
        ("stage=eval", "R@7", "no metric"),
        ("stage=sft", "los", "Did you mean 'loss'"),
        ("stage=sft", "reward/total/mean", "stage=sft does not log it"),
        ("stage=sft", "policy_loss", "stage=sft does not log it"),
        ("stage=sft", "cispo_clip_ratio", "stage=sft does not log it"),
        ("stage=sft", "grammar/masked_mass", "stage=sft does not log it"),
        ("stage=sft", "speed/generation_s", "stage=sft does not log it"),
        ("stage=sft", "speed/reward_s", "stage=sft does not log it"),
        ("stage=sft", "R", "stage=sft logs no such number"),
        ("stage=grpo", "reward/TERM/mean", "logs no such number"),
        ("stage=grpo", "reward/formt/mean", "Did you mean 'format'"),
        ("stage=grpo", "token_accuracy", "stage=grpo does not log it"),
    ],
)
def test_numbers_that_it_does_not_have(words, name, said):
    with pytest.raises(SggError) as error:
        check_objective(name, compose_config(words.split()))
    assert said in str(error.value)


def test_names_of_metrics_are_those_of_an_evaluation():
    protocol = {"cutoffs": [20, 50], "modes": ALL_MODES}
    found = scored((SceneGraph([], []), SceneGraph([], [])), unseen=frozenset(), **protocol).values
    assert {*metric_names(ProtocolConfig(**protocol))} == {*found} - {"images_counted"}


def test_the_objective_is_a_metric_or_the_last_value_of_a_curve(tmp_path):
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "loss_mean": 5.0}]
    curves = tmp_path / "metrics.jsonl"
    curves.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert objective_of("loss", tmp_path) == 1.0
    with pytest.raises(SggError, match="has no entropy, which the search is to improve"):
        objective_of("entropy", tmp_path)
    curves.write_text('{"step": 1, "loss": "nan"}\n')
    with pytest.raises(SggError, match="has no loss"):
        objective_of("loss", tmp_path)


def test_intervals_are_for_a_search_alone():
    word = "stage.args.learning_rate=tag(log,interval(1e-6,1e-4))"
    with pytest.raises(SggError, match=f"or search in it with {SEARCHES}"):
        read_overrides([word], sweep=True)
    assert len(read_overrides([SEARCHES, word], sweep=True)) == 2
    with pytest.raises(SggError, match="only a sweep has"):
        read_overrides([SEARCHES, word])


def test_the_record_is_read_back(tmp_path):
    assert read_search(tmp_path) is None
    record = SearchRecord("R", "maximize", 4, ["seed=1,2"])
    record.write(tmp_path)
    assert read_search(tmp_path) == record
    assert "3 of 4 trials have begun" in record.note(3)
    (tmp_path / "search.json").write_text('{"objective": 1}')
    with pytest.raises(SggError, match=r"search\.json"):
        read_search(tmp_path)
