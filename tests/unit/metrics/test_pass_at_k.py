"""pass@k, union@k and best-of-k against their definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import scored
from strategies import scene

from sgg.metrics.pass_at_k import best_of_k, by_image, pass_at_k, union_at_k

FLAGS = st.integers(1, 5).flatmap(
    lambda n: st.integers(1, 4).flatmap(
        lambda g: st.lists(st.lists(st.booleans(), min_size=g, max_size=g), min_size=n, max_size=n)
    )
)


@given(FLAGS, st.data())
def test_they_are_means_over_all_draws_of_k(rows, data):
    found = np.array(rows)
    k = data.draw(st.integers(1, len(rows)))
    draws = [found[list(c)] for c in combinations(range(len(rows)), k)]
    assert pass_at_k(found, k) == pytest.approx(np.mean([d.any(axis=0).mean() for d in draws]))
    assert best_of_k(found, k) == pytest.approx(np.mean([d.mean(axis=1).max() for d in draws]))
    assert union_at_k(found, k) == found[:k].any(axis=0).mean()


def test_by_hand():
    """Two gold relations, four completions: the first hit by one of four, the second by none.

    pass@2 of the first: 1 - C(3,2)/C(4,2) = 1/2, so the mean is 1/4.
    """
    found = np.array([[False, False], [True, False], [False, False], [False, False]])
    assert pass_at_k(found, 2) == 1 / 4
    assert (union_at_k(found, 1), union_at_k(found, 2)) == (0, 1 / 2)
    columns = by_image({1: found}, 3)
    assert [c.ravel().tolist() for c in columns["pass@1"]] == [[0, 1 / 8, 0], [0, 1, 0]]
    assert list(columns)[:3] == ["pass@1", "pass@2", "pass@4"]


def test_several_completions_of_an_image_are_scored_together_and_each():
    """Completions: one of two relations, the other one, none. R is the mean 1/3; union@3 is 1."""
    nodes = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))]
    gold = scene(nodes, [(0, "on", 1), (1, "near", 0)])
    completions = [scene(nodes, [(0, "on", 1)]), scene(nodes, [(1, "near", 0)]), None]
    found = scored((completions, gold), (completions, scene(nodes)))
    assert found.values["R"] == pytest.approx(1 / 3)
    assert found.several["union@3"] == 1
    assert found.several["best_of@3"] == 1 / 2
    assert found.several["pass@1"] == pytest.approx(1 / 3)
    assert found.gold_relations == 2
    assert scored((completions[0], gold)).several == {}


@pytest.mark.parametrize(
    ("completions", "ks"), [(1, []), (2, [1, 2]), (3, [1, 2, 3]), (5, [1, 2, 4, 5])]
)
def test_k_are_powers_of_two_and_all_completions_and_nothing_below_two(completions, ks):
    columns = by_image(
        {0: np.zeros((completions, 2), bool), 1: np.zeros((completions + 1, 1), bool)}, 2
    )
    assert list(columns) == [f"{name}@{k}" for name in ("pass", "union", "best_of") for k in ks]


def test_without_images_or_gold_there_is_nothing():
    assert by_image({}, 3) == {}
    assert by_image({0: np.zeros((3, 0), bool)}, 3) == {}
