"""Sharding that cannot be is refused with a message, naming key, value and the way out."""

from pathlib import Path

import pytest

from sgg.config.compose import compose_config
from sgg.config.tree import CONF_DIR
from sgg.errors import SggError
from sgg.plan.validate import validate

TWO = ["hardware.processes_per_node=2", "stage.optimizer.kind=trl"]


def check(*words):
    validate(compose_config(list(words)))


@pytest.mark.parametrize(
    "option",
    [f"{g}={p.stem}" for g in ("deepspeed", "fsdp") for p in (CONF_DIR / g).glob("*.yaml")],
)
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_every_way_is_possible_with_two_processes(option, stage):
    check(f"stage={stage}", option, *TWO)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*TWO, "deepspeed=zero2", "fsdp=full_shard"), "deepspeed and fsdp both shard the model"),
        (("deepspeed=zero2",), "there is only one process (hardware.processes_per_node=1)"),
        (("fsdp=full_shard",), "or fsdp=null"),
        (("deepspeed=zero2", TWO[0]), "stage.optimizer.kind=muon_adamw trains whole tiny models"),
        (
            (*TWO, "deepspeed=zero2", "deepspeed.zero_optimization.stage=4"),
            "deepspeed.zero_optimization.stage=4: must be 1, 2 or 3",
        ),
        (
            (*TWO, "deepspeed=zero3_offload", "deepspeed.zero_optimization.stage=2"),
            "offload_param would be ignored with stage=2",
        ),
        (
            (
                *TWO,
                "deepspeed=zero3",
                "deepspeed.zero_optimization.stage3_gather_16bit_weights_on_model_save=false",
            ),
            "stage3_gather_16bit_weights_on_model_save must be true",
        ),
        (
            (*TWO, "deepspeed=zero2", "deepspeed.train_batch_size=8"),
            "deepspeed.train_batch_size: follows from other keys; set stage.global_batch",
        ),
        (
            (*TWO, "fsdp=full_shard", "fsdp.activation_checkpointing=true"),
            "set hardware.gradient_checkpointing instead",
        ),
        ((*TWO, "fsdp=full_shard", "fsdp.reshard=true"), "fsdp.reshard: no such key"),
        (
            (*TWO, "fsdp=full_shard", "fsdp.reshard_after_forward=3"),
            "fsdp.reshard_after_forward=3: must be true or false",
        ),
        ((*TWO, "stage.args.fsdp=true"), "stage.args.fsdp: follows from other keys; set fsdp"),
    ],
)
def test_what_cannot_be_is_told(words, message):
    with pytest.raises(SggError) as error:
        check(*words)
    assert message in str(error.value)


def test_the_micro_batch_follows_from_the_models_size():
    from sgg.plan.validate import batch_plan

    def plan(model):
        config = compose_config(["stage=sft", f"model={model}", "data=vg150", "hardware=a100"])
        return batch_plan(config)

    small, large = plan("qwen2_vl_2b"), plan("qwen2_vl_7b")
    assert (small.micro_batch, large.micro_batch) == (4, 2)
    assert small.global_batch == large.global_batch == 128


def test_without_a_compiler_an_offloaded_optimiser_is_told(monkeypatch):
    from sgg.train import sharding

    monkeypatch.setenv("CXX", str(Path("nowhere") / "c++"))
    with pytest.raises(SggError, match=r"no C\+\+ compiler .*Install g\+\+"):
        sharding._compile_cpu_adam()
