"""Facts that follow from a config."""

import pytest

from sgg.config.compose import compose_config
from sgg.config.derived import read_split, scored_split


@pytest.mark.parametrize(
    ("words", "read", "scored"),
    [
        (["stage=sft"], "train", "eval"),
        (["stage=grpo"], "train", "eval"),
        (["stage=eval"], "eval", "eval"),
        (["stage=eval", "stage.split=train"], "train", "train"),
    ],
)
def test_the_part_that_is_read_and_the_part_that_is_scored(words, read, scored):
    config = compose_config(words)
    assert (read_split(config), scored_split(config)) == (read, scored)
