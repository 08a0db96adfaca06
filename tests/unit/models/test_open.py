"""One config, one model: its dtype by use, its pixels, its own checkpoints, its folder for vLLM."""

import json

import pytest
import torch
from safetensors.torch import load_file

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.models.open import Use, open_model, weights_dtype
from sgg.models.weights import locate

BF16, FP32 = torch.bfloat16, torch.float32
LORA = ["model.lora.enable=true", "stage.optimizer.kind=trl"]


def configured(*words):
    return compose_config(list(words))


@pytest.mark.parametrize(
    ("words", "generate", "train", "rollout"),
    [
        (["hardware.precision=fp32"], FP32, FP32, FP32),
        # weights that an optimiser updates stay fp32: in bf16 steps of 1e-6 are lost
        (["hardware.precision=bf16"], BF16, FP32, BF16),
        # an adapter's steps go to other weights, DeepSpeed keeps fp32 copies
        (["hardware.precision=bf16", *LORA], BF16, BF16, BF16),
        (["hardware.precision=bf16", "deepspeed=zero2"], BF16, BF16, BF16),
        # what is configured holds, but for rollouts, which see the policy as the trainer computes it
        (["hardware.precision=bf16", "model.dtype=float32"], FP32, FP32, BF16),
        (["hardware.precision=fp32", "model.dtype=bfloat16"], BF16, BF16, FP32),
    ],
)
def test_the_dtype_of_weights_follows_from_their_use(words, generate, train, rollout):
    config = configured(*words)
    assert [weights_dtype(config, use) for use in Use] == [generate, train, rollout]


def test_the_processor_has_the_pixels_of_the_run():
    model = open_model(configured("stage.max_pixels=3136", "model.min_pixels=784"), Use.generate)
    assert model.folder == locate("tiny_qwen2_5_vl")
    assert model.processor.image_processor.size == {"shortest_edge": 784, "longest_edge": 3136}


def test_weights_are_of_the_checkpoint_and_named_for_the_start(tmp_path):
    """A run from random weights resumes from its own; the reference model is where it started from."""
    words = ["model.init=random", "hardware.precision=fp32"]
    model = open_model(configured(*words), Use.train)
    trained = model.load()
    with torch.no_grad():
        trained.model.language_model.norm.weight.fill_(3.0)
    trained.save_pretrained(tmp_path)
    again = model.load(tmp_path)
    assert again.config._name_or_path == str(model.folder)
    assert all(again.state_dict()[k].equal(v) for k, v in trained.state_dict().items())
    other = open_model(configured(*words, "seed=1"), Use.train).load().state_dict()
    assert not other["lm_head.weight"].equal(trained.state_dict()["lm_head.weight"])


def test_a_folder_for_vllm_has_the_weights_and_the_pixels_of_the_run(tmp_path):
    model = open_model(configured("stage.max_pixels=3136", "model.min_pixels=784"), Use.generate)
    out = tmp_path / "served"
    model.write_for_vllm(out)
    start, written = (load_file(f / "model.safetensors") for f in (model.folder, out))
    assert start.keys() == written.keys()
    assert all(start[k].equal(written[k]) for k in start)
    saved = json.loads((out / "processor_config.json").read_text())
    assert saved["image_processor"]["size"] == {"shortest_edge": 784, "longest_edge": 3136}


def test_another_family_than_configured_is_told_when_weights_are_loaded():
    model = open_model(configured("model.family=qwen2_vl"), Use.generate)
    with pytest.raises(SggError, match=r"model\.family=qwen2_vl, but .* is a qwen2_5_vl"):
        model.load()
