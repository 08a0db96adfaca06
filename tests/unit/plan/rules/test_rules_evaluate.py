"""What of `stage.evaluate` is refused before a run, and with which way out."""

import pytest

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.plan.validate import validate

ON = "stage.evaluate.every_steps=4"
SFT, GRPO = ["stage=sft", ON], ["stage=grpo", ON]
COLOCATE = [*GRPO, "hardware.rollout.mode=colocate"]
SHARDED = ["fsdp=full_shard", "hardware.processes_per_node=2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stage=sft", "stage.evaluate.every_steps=-1"], "every_steps=-1: must be 0 or more"),
        ([*SFT, "stage.evaluate.images=0"], "stage.evaluate.images=0: must be 1 or more"),
        ([*SFT, "stage.evaluate.patience=-1"], "patience=-1: must be 0 or more"),
        ([*SFT, "stage.evaluate.patience=2"], "Set stage.evaluate.keep_best=R@50"),
        ([*SFT, "stage.evaluate.keep_best=R@30"], "protocol.cutoffs=[20, 50, 100] are the K"),
        ([*SFT, "stage.evaluate.keep_best=falure_rate"], "Did you mean 'failure_rate'?"),
        ([*SFT, "stage.evaluate.keep_best=relations_per_image"], "can be better or worse"),
        ([*SFT, "stage.evaluate.engine=rollout"], "the run has no vLLM"),
        ([*GRPO, "stage.evaluate.engine=rollout"], "hardware.rollout.mode=colocate or server"),
        ([*SFT, *SHARDED], "needs whole weights in each process"),
        ([*SFT, "generate=vllm"], "Leave generate.engine out"),
        ([*COLOCATE, "generate.max_new_tokens=9999"], "leaves no room for a prompt"),
        ([*COLOCATE, "generate.temperature=3"], "vLLM takes at most 2"),
        (
            [*COLOCATE, "grammar=bounded", "stage.evaluate.engine=hf"],
            "Take stage.evaluate.engine=rollout",
        ),
        (
            [*GRPO, "stage.args.num_iterations=3", "stage.evaluate.keep_best=R"],
            "must be a multiple of stage.args.num_iterations=3",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_a_way_out(words, said):
    with pytest.raises(SggError) as error:
        validate(compose_config(words))
    assert said in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        [*SFT, "stage.evaluate.keep_best=R@50", "stage.evaluate.patience=3"],
        [*SFT, "stage.evaluate.keep_best=R@7", "protocol.cutoffs=[7]"],
        [*SFT, "stage.evaluate.keep_best='phrdet R@50'"],
        [*GRPO, "stage.args.num_iterations=2", "stage.args.save_steps=4"],
        ["stage=sft", "stage.evaluate.keep_best=R", *SHARDED, "stage.optimizer.kind=trl"],
    ],
)
def test_others_are_let_through(words):
    validate(compose_config(words))
