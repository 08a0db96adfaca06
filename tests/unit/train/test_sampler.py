"""The order of GRPO's prompts: decided by the seed and the epoch alone."""

from __future__ import annotations

import pytest
from trl.trainer.utils import RepeatSampler

from sgg.train.grpo_trainer import order_by_epoch


def orders(seed, epochs, shuffle=True):
    """What a sampler gives in each of these epochs."""
    sampler = RepeatSampler(range(8), mini_repeat_count=1, shuffle=shuffle, seed=seed)
    found = []
    for epoch in epochs:
        order_by_epoch(sampler, epoch)
        found.append([*sampler])
    return found


@pytest.mark.parametrize("seed", [0, 7, None])
def test_a_resumed_second_epoch_has_its_own_order(seed):
    first, second = orders(seed, [0, 1])
    assert first != second
    assert orders(seed, [1]) == [second]


def test_another_seed_is_another_order():
    assert orders(0, [0]) != orders(1, [0])


def test_without_shuffle_the_order_stays():
    assert orders(0, [0, 3], shuffle=False) == [[*range(8)]] * 2
