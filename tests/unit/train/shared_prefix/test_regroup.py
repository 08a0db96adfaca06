"""Groups stay together when a generation's completions are shuffled."""

import pytest
import torch
from trl.trainer.utils import shuffle_sequence_dict

from sgg.train.shared_prefix.regroup import shuffle_of_groups


@pytest.mark.parametrize(
    ("before", "prompts"),
    [(0, "aaaabbbbcccc"), (4, "bbbbcccc"), (2, "aabbbbccccd"), (6, "bb"), (0, "a")],
)
def test_every_row_is_there_once_and_each_groups_rows_are_neighbours_in_order(before, prompts):
    places = list(range(len(prompts)))
    rows = {"tokens": torch.tensor(places), "images": list(prompts), "none": None}
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        shuffled = shuffle_of_groups(4, before)(rows | {"count": torch.tensor(9)})
        order = shuffled["tokens"].tolist()
        assert sorted(order) == places
        assert shuffled["images"] == [prompts[place] for place in order]
        assert (shuffled["none"], int(shuffled["count"])) == (None, 9)
        for prompt in set(prompts):
            own = [place for place in order if prompts[place] == prompt]
            first = order.index(own[0])
            assert order[first : first + len(own)] == sorted(own)
        seen.add(tuple(order))
    assert len(seen) > 1 or len(set(prompts)) == 1


def test_as_many_random_numbers_are_drawn_as_by_trl():
    """So a training with and without shared prompts samples the same completions at the next step."""
    next_numbers = []
    for shuffle in (shuffle_sequence_dict, shuffle_of_groups(4, 2)):
        torch.manual_seed(0)
        shuffle({"tokens": torch.arange(12)})
        next_numbers.append(torch.rand(4).tolist())
    assert next_numbers[0] == next_numbers[1]
