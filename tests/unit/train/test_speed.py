"""Times of a step: each phase its own, the rest of the step in `update`."""

import time
from types import SimpleNamespace

import pytest

from sgg.train.speed import StepClock


def run_step(clock):
    clock.on_step_begin(None, None, None)
    with clock.phase("preparation"):
        time.sleep(0.02)
        with clock.phase("generation"):
            time.sleep(0.06)
    time.sleep(0.04)
    clock.on_pre_optimizer_step(None, None, None)
    time.sleep(0.01)
    clock.on_optimizer_step(None, None, None)
    clock.on_step_end(None, None, None)


@pytest.fixture
def clock():
    clock = StepClock()
    clock.on_train_begin(None, SimpleNamespace(global_step=0), None)
    return clock


def test_phases_add_up_to_the_step(clock):
    for _ in range(2):
        run_step(clock)
    speed = clock.measured(tokens=100)
    phases = {"generation": 0.06, "preparation": 0.02, "optimizer": 0.01, "update": 0.04}
    for name, least in phases.items():
        assert least <= speed[f"speed/{name}_s"] < least + 0.5
    assert sum(speed[f"speed/{name}_s"] for name in phases) == pytest.approx(speed["speed/step_s"])
    assert speed["speed/generation_s"] > speed["speed/preparation_s"]
    assert speed["speed/tokens_per_s"] == pytest.approx(50 / speed["speed/step_s"])
    assert 0.01 < speed["speed/memory_gb"] < 1000


def test_each_log_has_its_own_steps(clock):
    run_step(clock)
    clock.measured(tokens=100)
    assert clock.measured(tokens=100) == {}
    run_step(clock)
    speed = clock.measured(tokens=150)
    assert speed["speed/tokens_per_s"] == pytest.approx(50 / speed["speed/step_s"])


def test_the_first_log_of_a_resumed_run_has_no_rate(clock):
    """How many tokens its steps have seen is not known before the second."""
    clock.on_train_begin(None, SimpleNamespace(global_step=5), None)
    run_step(clock)
    assert "speed/tokens_per_s" not in clock.measured(tokens=600)
    run_step(clock)
    assert clock.measured(tokens=700)["speed/tokens_per_s"] > 0
