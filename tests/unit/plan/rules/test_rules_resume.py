"""What could not be resumed after a stop is refused before it starts."""

import pytest

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.plan.validate import validate

LORA = ("model.lora.enable=true", "stage.optimizer.kind=trl")


def check(*words):
    validate(compose_config(list(words)))


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        (
            ("stage=sft", "model.init=random", *LORA),
            ["model.init=random with model.lora.enable=true", "or model.init=pretrained"],
        ),
        (
            ("stage=grpo", "model.init=random", *LORA),
            ["model.init=random with model.lora.enable=true", "Take model.lora.enable=false"],
        ),
        (
            ("stage=grpo", "model.init=random", "stage.args.beta=0.04"),
            ["stage.args.beta=0.04 with model.init=random", "Take stage.args.beta=0,"],
        ),
        (
            ("stage=grpo", "stage.args.beta=0.04", "stage.args.sync_ref_model=true"),
            ["stage.args.sync_ref_model=True", "Leave it out"],
        ),
        (
            ("stage=grpo", "stage.args.num_iterations=2", "stage.args.save_steps=5"),
            ["stage.args.save_steps=5 must be a multiple of stage.args.num_iterations=2"],
        ),
        (
            ("stage=grpo", "stage.args.num_iterations=2", "stage.args.save_steps=0.5"),
            ["stage.args.save_steps=0.5 must be a multiple"],  # a share of steps may be any number
        ),
        (("stage=grpo", "stage.args.num_iterations=0"), ["num_iterations=0: must be 1 or more"]),
    ],
)
def test_refused(words, phrases):
    with pytest.raises(SggError) as told:
        check(*words)
    for phrase in phrases:
        assert phrase in str(told.value)


@pytest.mark.parametrize(
    "words",
    [
        ("stage=sft", "model.init=random"),
        ("stage=grpo", "model.init=random"),
        ("stage=grpo", "stage.args.beta=0.04"),
        ("stage=grpo", "stage.args.beta=0.04", *LORA),
        ("stage=grpo", "stage.args.beta=0.04", "stage.args.sync_ref_model=false"),
        ("stage=grpo", "stage.args.num_iterations=2", "stage.args.save_steps=4"),
        ("stage=grpo", "stage.args.save_steps=0.5"),
    ],
)
def test_let_through(words):
    check(*words)
