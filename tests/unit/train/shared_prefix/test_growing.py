"""A layer with room gives the keys and values of transformers' own layer, bit for bit."""

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from sgg.train.shared_prefix.growing import ROOM, GrowingLayer


def states(drawn, tokens, rows=3):
    return tuple(torch.randn(rows, 2, tokens, 4, generator=drawn) for _ in range(2))


@pytest.fixture
def layers():
    """Transformers' own and ours with the same prompt, and a source of numbers."""
    drawn = torch.Generator().manual_seed(0)
    theirs, other = DynamicLayer(), DynamicLayer()
    prompt = states(drawn, 5)
    theirs.update(*prompt)
    other.update(*prompt)
    return theirs, GrowingLayer(other), drawn


def check_equal(theirs, ours, new):
    for found, expected in zip(ours.update(*new), theirs.update(*new), strict=True):
        assert torch.equal(found, expected)
    assert ours.get_seq_length() == theirs.get_seq_length()


def test_tokens_come_behind_what_there_is(layers):
    theirs, ours, drawn = layers
    assert ours.get_seq_length() == 5
    for tokens in [1] * (2 * ROOM + 3) + [4, 2 * ROOM, 1]:
        check_equal(theirs, ours, states(drawn, tokens))


def test_keys_stay_in_their_place_while_there_is_room(layers):
    _, ours, drawn = layers
    places = {ours.update(*states(drawn, 1))[0].data_ptr() for _ in range(ROOM)}
    assert len(places) == 1


def test_rows_that_are_chosen_or_cut_go_on(layers):
    theirs, ours, drawn = layers
    check_equal(theirs, ours, states(drawn, 2))
    for layer in (theirs, ours):
        layer.batch_select_indices(torch.tensor([2, 0]))
    check_equal(theirs, ours, states(drawn, 1, rows=2))
    for layer in (theirs, ours):
        layer.crop(-3)
    check_equal(theirs, ours, states(drawn, 1, rows=2))
