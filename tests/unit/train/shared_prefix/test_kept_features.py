"""Features of a tower that does not learn are computed once a step, and nothing else changes."""

import pytest
import torch
from PIL import Image

from sgg.config.stage import FastPath
from sgg.models import tiny
from sgg.models.families import TinySize
from sgg.text.prompt import messages
from sgg.train.logprobs import ScoringHead
from sgg.train.shared_prefix.kept_features import KeptFeatures, has_frozen_tower
from sgg.train.shared_prefix.sharing import SharedPrefix

SIZES = [(120, 90), (60, 200), (120, 90)]


@pytest.fixture
def frozen(family, processor):
    """(model whose tower does not learn, images of a batch as the model takes them, how many)."""
    size = TinySize(width=64, vision_width=64)
    model = tiny.build_model(family, size, processor.tokenizer, seed=0)
    model.get_submodule(family.tower).requires_grad_(requires_grad=False)
    pictures = [Image.radial_gradient("L").resize(size).convert("RGB") for size in SIZES]
    pictures[2] = pictures[2].rotate(180)
    chat = processor.apply_chat_template(
        messages("Find objects.", ""), tokenize=False, add_generation_prompt=True
    )
    inputs = processor(
        text=[chat + "red 1 2"] * 3,
        images=[[picture] for picture in pictures],
        padding=True,
        return_tensors="pt",
    )
    labels = inputs["input_ids"].clone()
    labels[:, :-3] = -100
    return model, dict(inputs) | {"labels": labels}, len(SIZES)


@pytest.fixture
def seen(frozen):
    """Images of each call of the tower."""
    calls = []
    tower = frozen[0].base_model.visual
    tower.register_forward_pre_hook(
        lambda module, args, kwargs: calls.append(len(kwargs["grid_thw"])), with_kwargs=True
    )
    return calls


def passed(model, inputs):
    model.zero_grad()
    found = model(**inputs, fused_lm_head=True).log_probs
    found.sum().backward()
    return found, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("mode", [FastPath.require, FastPath.off])
def test_passes_are_the_same_and_the_tower_runs_once(frozen, seen, mode):
    model, inputs, images = frozen
    ScoringHead(sharing=SharedPrefix(mode)).add_to(model)
    expected, grads = passed(model, inputs)
    kept = KeptFeatures(model.base_model)
    seen.clear()
    for _ in range(3):
        found, own = passed(model, inputs)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        assert own.keys() == grads.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(own[name], grad, atol=1e-5, rtol=1e-4)
    assert seen == [images]
    kept.clear()
    passed(model, inputs)
    assert seen == [images, images]


def test_only_images_that_are_not_there_are_computed(frozen, seen):
    model, inputs, images = frozen
    ScoringHead(sharing=SharedPrefix(FastPath.require)).add_to(model)
    KeptFeatures(model.base_model)
    passed(model, inputs)
    last = int(inputs["image_grid_thw"][-1].prod())
    inputs["pixel_values"][-last:] += 1.0
    changed, _ = passed(model, inputs)
    assert seen == [images, 1]
    with torch.autocast("cpu", torch.bfloat16):
        passed(model, inputs)
    assert seen == [images, 1, images]
    del model.base_model.get_image_features  # the class's own again
    torch.testing.assert_close(changed, passed(model, inputs)[0], atol=1e-5, rtol=0)


def test_nothing_is_kept_beyond_the_limit_or_in_inference_mode(frozen, seen):
    model, inputs, images = frozen
    ScoringHead(sharing=SharedPrefix(FastPath.require)).add_to(model)
    KeptFeatures(model.base_model, limit=1000)
    expected, _ = passed(model, inputs)
    again, _ = passed(model, inputs)
    torch.testing.assert_close(again, expected)
    assert seen == [images, images]
    del model.base_model.get_image_features
    KeptFeatures(model.base_model)
    with torch.inference_mode():
        model(**inputs, fused_lm_head=True)
    passed(model, inputs)
    assert seen == [images] * 4


def test_a_tower_learns_unless_all_of_it_is_frozen(frozen):
    model, *_ = frozen
    assert has_frozen_tower(model)
    model.base_model.visual.merger.requires_grad_(requires_grad=True)
    assert not has_frozen_tower(model)
