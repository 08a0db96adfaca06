"""What is pushed of a LoRA policy: peft's own merge, in copies; the live weights keep every bit."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from sgg.config.compose import compose_config
from sgg.config.model import LoraConfig
from sgg.models.load import add_lora, load_model
from sgg.models.weights import locate
from sgg.rollout.merged import merged_weights

pytestmark = pytest.mark.slow  # imports peft
CPU = torch.device("cpu")


@contextmanager
def whole(params):
    """Nothing is in pieces here."""
    yield


def pushed(model):
    return {name: weight.clone() for name, weight in merged_weights(model, whole, CPU)}


def policy(dtype=torch.float32, seed=0, **lora):
    """The tiny model with an adapter that has learnt something."""
    config = compose_config(["stage=grpo", "model=tiny_qwen2_5_vl"])
    base = load_model(config.model, locate("tiny_qwen2_5_vl"), dtype, 0)
    model = add_lora(base, replace(config.model, lora=LoraConfig(enable=True, **lora)), seed)
    learn(model)
    return model


def learn(model, adapter="default"):
    for name, param in model.named_parameters():
        if f".{adapter}." in name:
            param.data = torch.randn_like(param) * 0.1


def bits(model):
    return {name: param.detach().clone() for name, param in model.named_parameters()}


def same_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_live_weights_keep_every_bit(dtype):
    model = policy(dtype)
    before = bits(model)
    first = pushed(model)
    for _ in range(20):
        assert same_bits(pushed(model), first)
    assert same_bits(bits(model), before)
    assert {weight.dtype for weight in first.values()} == {dtype}


def test_peft_merges_the_same():
    model = policy(r=4, alpha=9, dropout=0.3)
    model.train()  # dropout has no part in weights
    ours = pushed(model)
    theirs = dict(model.merge_and_unload().named_parameters())
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name].detach(), rtol=0, atol=2e-6)


def test_a_sum_in_bf16_is_rounded_once():
    """To the nearest number of bf16, as computed in fp64."""
    model = policy(torch.bfloat16)
    ours = pushed(model)
    for name, layer in model.named_modules():
        if not name.endswith("q_proj"):
            continue
        up, down = (m["default"].weight.double() for m in (layer.lora_B, layer.lora_A))
        exact = layer.base_layer.weight.double() + layer.scaling["default"] * up @ down
        plain = name.removeprefix("base_model.model.") + ".weight"
        gap = (ours[plain].double() - exact).abs()
        assert (gap <= exact.abs() * 2**-8 + 1e-6).all()
        assert not torch.equal(ours[plain], layer.base_layer.weight)


def test_only_the_active_adapter_is_merged():
    """GRPO's reference, where it is a second adapter, is not what generates."""
    model = policy()
    alone = pushed(model)
    model.add_adapter("ref", model.peft_config["default"])
    learn(model, "ref")
    assert same_bits(pushed(model), alone)
    model.set_adapter("ref")
    assert not same_bits(pushed(model), alone)


def test_tied_matrices_are_pushed_once():
    model = policy()
    names = [name for name, _ in merged_weights(model, whole, CPU)]
    assert len(names) == len(set(names))
    assert sum(name.endswith(("embed_tokens.weight", "lm_head.weight")) for name in names) == 1


def test_parameters_are_asked_for_a_layer_at_a_time():
    model, asked = policy(), []

    @contextmanager
    def gather(params):
        asked.append(len(params))
        yield

    weights = merged_weights(model, gather, CPU)
    next(weights)
    assert len(asked) == 1
    for _ in weights:
        pass
    assert set(asked) == {1, 3}


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}])
def test_an_adapter_that_is_more_than_a_product_is_refused(more):
    import peft  # after sgg, which declares what its imports describe

    config = peft.LoraConfig(r=2, target_modules=["0"], **more)
    model = peft.get_peft_model(nn.Sequential(nn.Linear(4, 4)), config)
    with pytest.raises(NotImplementedError, match="no plain LoRA"):
        list(merged_weights(model, whole, CPU))
