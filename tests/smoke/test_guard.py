"""Tokens that stand for pictures: a policy never writes them, and is scored as it is drawn from."""

import pytest
import torch
from safetensors.torch import load_file

from sgg.config.model import Family, ModelConfig
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages
from sgg.train.forbidden_tokens import add_bias, vision_bias

pytestmark = pytest.mark.slow


@pytest.fixture
def model():
    """A tiny model that wants to write nothing but image tokens."""
    from trl.trainer.utils import add_fused_lm_head

    source = locate("tiny_qwen2_5_vl")
    model = load_model(
        ModelConfig(path="tiny_qwen2_5_vl", family=Family.qwen2_5_vl), source, torch.float32, seed=0
    )
    processor = load_processor(source, 3136, 12544)
    add_fused_lm_head(model)
    return model, processor


def asked(processor):
    text = processor.apply_chat_template(
        messages(BRIEF, ""), tokenize=False, add_generation_prompt=True
    )
    return processor.tokenizer(text.replace("<|image_pad|>", ""), return_tensors="pt")["input_ids"]


def tempt(model, processor):
    """Lift the logits of the vision tokens far above all others."""
    ids = list(vision_bias(processor))
    head = model.get_output_embeddings()
    lifted = torch.zeros(head.weight.shape[0])
    lifted[ids] = 50.0
    original = head.forward
    head.forward = lambda hidden: original(hidden) + lifted
    return ids


def test_image_tokens_are_not_written(model):
    model, processor = model
    ids, prompt = tempt(model, processor), asked(processor)
    wanted = {"max_new_tokens": 8, "do_sample": True}
    assert set(model.generate(prompt, **wanted)[0, prompt.shape[1] :].tolist()) <= set(ids)
    add_bias(model, vision_bias(processor))
    assert not set(model.generate(prompt, **wanted)[0, prompt.shape[1] :].tolist()) & set(ids)


def test_scores_are_those_of_the_distribution_without_them(model):
    model, processor = model
    prompt = asked(processor)
    labels = prompt.clone()
    with torch.no_grad():
        plain = model(input_ids=prompt).logits
        add_bias(model, vision_bias(processor))
        scored = model(input_ids=prompt, labels=labels, fused_lm_head=True).log_probs
    plain[..., processor.tokenizer.convert_tokens_to_ids(list(processor.family.vision_tokens))] -= (
        100.0
    )
    wanted = plain[:, :-1].log_softmax(-1).gather(-1, prompt[:, 1:, None])[..., 0]
    assert torch.allclose(scored[:, -wanted.shape[1] :], wanted, atol=1e-5)


def test_the_bias_is_neither_trained_nor_saved(model, tmp_path):
    model, processor = model
    names = {name for name, _ in model.named_parameters()}
    add_bias(model, vision_bias(processor))
    assert {name for name, _ in model.named_parameters()} == names
    model.save_pretrained(tmp_path)
    assert not any("lm_head.bias" in name for name in load_file(tmp_path / "model.safetensors"))
