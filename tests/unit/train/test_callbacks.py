"""What a training step says: all numbers are kept, those that are none as text; cut sampling is logged."""

from types import SimpleNamespace

import pytest

from sgg.config.compose import compose_config
from sgg.runs.folder import read_json_lines
from sgg.tracking.open import Trackers
from sgg.train.callbacks import MetricsCallback
from sgg.train.grpo import _log_cut_sampling
from sgg.train.sample_tables import SampleTables
from sgg.train.speed import StepClock


class Kept:
    def __init__(self):
        self.rows = []

    def log(self, values, step):
        self.rows.append((step, values))


def logged(tmp_path, numbers):
    tracker = Kept()
    state = SimpleNamespace(is_world_process_zero=True, global_step=3, max_steps=9)
    tables = SampleTables(compose_config(["stage=grpo"]), tmp_path, Trackers({}))
    curves = MetricsCallback(tmp_path, tracker, StepClock(), tables)
    curves.on_log(None, state, None, logs=numbers)
    return list(read_json_lines(tmp_path / "metrics.jsonl")), tracker.rows


def test_numbers_reach_the_file_and_the_tracker(tmp_path, caplog):
    numbers = {"loss": 0.5, "lr": 1e-5, "steps": 7}
    assert logged(tmp_path, numbers) == ([{"step": 3, **numbers}], [(3, numbers)])
    assert caplog.messages == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_told_and_stands_as_a_word(tmp_path, caplog, value):
    rows, tracked = logged(tmp_path, {"loss": value, "lr": 1e-5})
    assert rows == [{"step": 3, "loss": str(value), "lr": 1e-5}]
    assert tracked == [(3, {"lr": 1e-5})]
    assert caplog.messages == [f"step 3: loss is {value}"]


@pytest.mark.parametrize("words", [[], ["stage.args.top_k=0"], ["stage.args.top_p=1.0"]])
def test_completions_from_the_whole_distribution_are_not_told_of(words, caplog):
    _log_cut_sampling(compose_config(["stage=grpo", *words]))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "word", ["stage.args.top_k=50", "stage.args.top_p=0.9", "stage.args.repetition_penalty=1.1"]
)
def test_completions_from_a_part_of_it_are(word, caplog):
    _log_cut_sampling(compose_config(["stage=grpo", word]))
    assert [m.split(":")[0] for m in caplog.messages] == [word]


def test_vllms_completions_are_corrected_for(caplog):
    words = ["stage=grpo", "stage.args.top_k=50", "hardware.rollout.mode=colocate"]
    _log_cut_sampling(compose_config(words))
    assert caplog.messages == []
