"""What a training keeps in a GPU's memory, by ways of sharding: what cannot fit is refused, doubt is said."""

import pytest
import torch
from configs import options

from sgg.config.compose import compose_config
from sgg.config.derived import weights_precision
from sgg.errors import SggError
from sgg.models.open import Use, weights_dtype
from sgg.plan.opening import opening
from sgg.plan.rules.memory import GIB, state_bytes
from sgg.plan.validate import validate

CARD = ["hardware=one_24gb", "hardware.loader_workers=0"]
FULL = ["stage=sft", "model=qwen2_vl_7b", "data=vg150", *CARD]
COUNT = 8_291_375_616
"""Parameters of Qwen2-VL-7B."""

BESIDE_VLLM = ["stage=grpo", "hardware.rollout.mode=colocate"]
FOUR = ["hardware.processes_per_node=4"]


@pytest.mark.parametrize(
    ("words", "each"),
    [
        ([], 16),
        (["model.dtype=bfloat16"], 8),
        (["stage.args.optim=adafactor"], 8),
        (["model.lora.enable=true"], 2),
        (["model.freeze_vision=true"], 4),
        (["hardware.precision=fp32", "model.lora.enable=true"], 4),
        (FOUR, 16),
        ([*FOUR, "fsdp=full_shard"], 4),
        ([*FOUR, "fsdp=shard_grad"], 2 + 3),
        ([*FOUR, "fsdp=full_shard", "model.lora.enable=true"], 0.5),
        (["deepspeed=zero1"], 16),
        ([*FOUR, "deepspeed=zero1"], 2 + 2 + 3),
        ([*FOUR, "deepspeed=zero2"], 2 + 0.5 + 3),
        ([*FOUR, "deepspeed=zero2_offload"], 2),
        ([*FOUR, "deepspeed=zero3"], 4),
        ([*FOUR, "deepspeed=zero3_offload"], 0),
        ([*FOUR, "deepspeed=zero3", "model.lora.enable=true"], 0.5),
    ],
)
def test_bytes_of_a_parameter(words, each):
    assert state_bytes(compose_config([*FULL, *words])) == pytest.approx(each * COUNT, rel=1e-9)


@pytest.mark.parametrize(
    "words",
    [["stage=eval"], ["model.parameters=null"], ["hardware=cpu"], ["model=tiny_qwen2_vl"]],
)
def test_nothing_is_said_where_nothing_is_known(words):
    config = compose_config([*FULL, *words])
    assert state_bytes(config) is None
    validate(config)


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=sft_7b", "hardware=one_24gb"],
        ["experiment=sft_2b", "hardware=one_24gb"],
        ["experiment=sft_7b", "hardware=one_80gb"],
        ["experiment=grpo_7b", "hardware=rtx4090_zero3"],
    ],
)
def test_what_exceeds_the_card_is_refused_with_the_ways_out(words):
    config = compose_config(words)
    with pytest.raises(SggError) as caught:
        validate(config)
    said = str(caught.value)
    least = state_bytes(config) / GIB
    assert said.startswith(f"hardware.gpu_memory_gb={config.hardware.gpu_memory_gb}: weights")
    assert f"model.parameters={config.model.parameters} take {least:.0f} GiB or more" in said
    for way_out in ("model.lora.enable=true", "fsdp=full_shard", "deepspeed=zero3_offload"):
        assert way_out in said


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=sft_7b", "hardware=one_24gb", "model.lora.enable=true"],
        ["experiment=sft_7b", "hardware=one_24gb", "hardware.nodes=6"],
        ["experiment=sft_7b", "hardware=one_80gb", "hardware.nodes=2"],
        ["experiment=sft_7b", "hardware=one_24gb", "deepspeed=zero3_offload", "fsdp=null"],
        ["experiment=sft_7b", "hardware=one_24gb", "model.parameters=20000000"],
        ["experiment=grpo_7b", "hardware=rtx4090_zero3", "hardware.nodes=2"],
        ["experiment=sft_2b", "hardware=one_80gb", "model=qwen2_5_vl_3b"],
    ],
)
def test_the_ways_out_lead_out(words):
    validate(compose_config([*words, "stage.global_batch=6"] if "sft" in words[0] else words))


@pytest.mark.parametrize(
    ("words", "doubted"),
    [
        ([], False),
        (["hardware.gpu_memory_gb=17"], True),
        (["hardware.gpu_memory_gb=18"], False),
        (BESIDE_VLLM, False),
        ([*BESIDE_VLLM, "hardware.rollout.gpu_memory_utilization=0.3"], True),
    ],
)
def test_little_room_is_said_on_the_first_line(words, doubted, tmp_path):
    config = compose_config(
        [*FULL, "model.lora.enable=true", f"paths.cache={tmp_path}", "reward=hard_recall", *words]
    )
    validate(config)
    assert ("are left for activations" in opening(config)) == doubted


@pytest.mark.parametrize("model", [m for m in options("model") if not m.startswith("tiny")])
def test_published_models_state_their_parameters(model):
    """Near the size in the option's name: vision tower and embedding come on top."""
    config = compose_config([f"model={model}", "stage=eval"])
    size = float(model.rpartition("_")[2].removesuffix("b"))
    assert 1 <= config.model.parameters / (size * 1e9) < 1.27


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        ([], torch.float32),
        (["deepspeed=zero2"], torch.bfloat16),
        (["model.lora.enable=true"], torch.bfloat16),
    ],
)
def test_weights_are_counted_as_they_are_loaded(words, loaded):
    config = compose_config([*FULL, *words])
    assert weights_dtype(config, Use.train) is loaded
    assert (weights_precision(config, trains=True).name == "fp32") == (loaded is torch.float32)
