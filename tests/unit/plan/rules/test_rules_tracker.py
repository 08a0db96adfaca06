"""What of `tracker`, and of names that are logged, is refused before a run."""

import pytest

from sgg.config.compose import compose_config
from sgg.config.reward import TermConfig
from sgg.errors import SggError
from sgg.plan.validate import validate

SFT = ["stage=sft"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tracker.samples=-1"], "tracker.samples=-1: must be 0 or more"),
        (["tracker.samples_every=-1"], "tracker.samples_every=-1: must be 0 or more"),
        (["tracker.samples_every=5", "tracker.samples=0"], "and tracker.samples=0"),
        (
            ["tracker.samples_every=5", "fsdp=full_shard", "hardware.processes_per_node=2"],
            "tracker.samples_every=5 needs whole weights in one process",
        ),
    ],
)
def test_samples_that_cannot_be_taken_are_refused(words, told):
    with pytest.raises(SggError, match=told):
        validate(compose_config([*SFT, *words]))


@pytest.mark.parametrize("words", [["tracker.samples=0"], ["tracker.samples_every=5"]])
def test_others_are_let_through(words):
    validate(compose_config([*SFT, *words]))


def test_a_term_with_the_name_of_the_sum_is_refused():
    config = compose_config(["stage=grpo"])
    config.reward.terms["total"] = TermConfig(import_path="own_reward:term")
    with pytest.raises(SggError, match=r"reward\.terms\.total: the sum of all terms"):
        validate(config)
