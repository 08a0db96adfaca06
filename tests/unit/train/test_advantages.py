"""Which groups are undecided: equal to the last bit, and no other."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgg.errors import SggError
from sgg.train.advantages import (
    droppable,
    refuse_infinite,
    silent,
    undecided,
    without_undecided,
)

GROUP = 8
HARD_RECALL = [k / n * 5 for n in range(1, 30) for k in range(n + 1)]
VALUES = st.one_of(st.sampled_from([x for x in HARD_RECALL if x]), st.floats(2**-4, 16, width=32))
WEIGHT = st.floats(2**-6, 3, width=32)
WEIGHTS = st.lists(WEIGHT, min_size=4, max_size=4)


def asked(rows, weights, apart=False):
    rewards = torch.tensor(rows, dtype=torch.float32)
    return undecided(rewards, torch.tensor(weights, dtype=torch.float32), GROUP, apart)


@given(st.lists(VALUES, min_size=4, max_size=4), WEIGHTS)
def test_equal_completions_are(row, weights):
    for apart in (False, True):
        assert asked([row] * GROUP, weights, apart) == [True] * GROUP


@given(st.lists(VALUES, min_size=4, max_size=4), WEIGHTS, st.integers(0, 3), st.integers(0, 7))
def test_one_bit_more_is_a_difference(row, weights, term, place):
    """Also where a total in fp32 would swallow it."""
    rows = [[np.float32(x) for x in row] for _ in range(GROUP)]
    rows[place][term] = np.nextafter(rows[place][term], np.float32(math.inf))
    equal = [[np.float32(x) for x in row]] * GROUP
    for apart in (False, True):
        assert asked([*equal, *rows], weights, apart) == [True] * GROUP + [False] * GROUP


@given(st.lists(VALUES, min_size=4, max_size=4), WEIGHT)
def test_the_same_from_other_terms_is_equal_as_a_total_alone(row, weight):
    """.1 + .2 + .3 and .3 + .2 + .1, which fp32 adds up to two numbers."""
    rows = [[row[(i + j) % 4] for j in range(4)] for i in range(GROUP)]
    assert all(asked(rows, [weight] * 4))
    single = len({np.float32(x) for x in row}) == 1
    assert all(asked(rows, [weight] * 4, apart=True)) == single


def test_what_says_nothing_is_in_no_comparison():
    nan = math.nan
    silent = [[nan, nan]] * 2 + [[1.0, nan]] * 6
    assert all(asked(silent, [1, 1]))
    assert all(asked(silent, [1, 1], apart=True))
    assert all(asked([[nan, nan]] * GROUP, [1, 1]))
    partly = [[1.0, nan]] * 4 + [[1.0, 0.5]] * 4
    assert not any(asked(partly, [1, 1]))
    assert all(asked(partly, [1, 1], apart=True))
    assert all(asked(partly, [1, 0]))


def test_a_term_of_weight_0_makes_no_difference():
    rows = [[2.5, float(i)] for i in range(GROUP)]
    for apart in (False, True):
        assert all(asked(rows, [1, 0], apart))
        assert not any(asked(rows, [1, 1e-6], apart))


def test_a_term_without_any_number_is_found():
    nan = math.nan
    rewards = torch.tensor([[1.0, nan, nan], [nan, nan, 0.0]])
    assert silent(rewards, ["partly", "never", "once"]) == ["never"]
    assert silent(rewards[:, :1], ["partly"]) == []


def test_an_infinite_reward_is_refused_by_the_name_of_its_term():
    rewards = torch.tensor([[1.0, 2.0], [math.nan, 3.0]])
    refuse_infinite(rewards, ["one", "other"])
    rewards[1, 1] = -math.inf
    with pytest.raises(SggError, match=r"reward\.terms\.other gave a completion an infinite value"):
        refuse_infinite(rewards, ["one", "other"])


def trl_args(**changes):
    plain = {"beta": 0.0, "loss_type": "dapo", "entropy_coef": 0.0, "use_adaptive_entropy": False}
    return SimpleNamespace(**plain | {"top_entropy_quantile": 1.0} | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"loss_type": "dr_grpo"}, None),
        ({"beta": 0.04}, r"beta=0\.04"),
        ({"loss_type": "bnpo"}, "loss_type=bnpo"),
        ({"loss_type": "vespo"}, None),
        ({"entropy_coef": 0.01}, "entropy bonus"),
        ({"use_adaptive_entropy": True}, "entropy bonus"),
        ({"top_entropy_quantile": 0.2}, "top_entropy_quantile"),
    ],
)
def test_rows_without_advantage_may_be_left_out_where_they_change_nothing(changes, reason):
    found = droppable(trl_args(**changes))
    assert found is None if reason is None else re.search(reason, found)


def test_rows_without_advantage_have_nothing_to_score():
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    batch = {"advantages": torch.tensor([0.5, 0.0, -1e-9]), "completion_mask": mask, "other": 1}
    left = without_undecided(batch)
    assert left["completion_mask"].tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert left["other"] == 1
    assert batch["completion_mask"] is mask
