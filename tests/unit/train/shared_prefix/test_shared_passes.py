"""Packed passes give the log-probabilities and gradients of TRL's own passes over padded rows."""

import random

import pytest
import torch
from PIL import Image
from trl.trainer.utils import add_fused_lm_head

from sgg.config.model import LoraConfig, ModelConfig
from sgg.config.stage import FastPath
from sgg.errors import SggError
from sgg.models import tiny
from sgg.models.families import TinySize
from sgg.models.load import add_lora
from sgg.text.prompt import messages
from sgg.train.logprobs import ScoringHead
from sgg.train.shared_prefix.sharing import SharedPrefix

WORDS = [
    "red",
    "green",
    "blue",
    "circle",
    "square",
    "cross",
    "left",
    "right",
    "above",
    "1",
    "2",
    "3",
    "45",
]
GROUPS = {
    "no image": [(0, 4), (0, 3)],
    "one image": [(1, 8), (1, 2), (1, 1)],
    "two images": [(2, 4), (2, 2)],
    "any": [(1, 2), (0, 3), (2, 2), (1, 1)],
    "16": [(1, 16)],
}
"""Images and completions of each prompt."""


def build(family, processor, **changes):
    size = TinySize(width=64, vision_width=64, **changes)
    return tiny.build_model(family, size, processor.tokenizer, seed=0)


def batch(processor, groups, *, seed=0, scattered=True):
    """As TRL makes it: prompts padded on the left, completions on the right; with labels."""
    drawn, rows = random.Random(seed), []
    for number, (images, completions) in enumerate(groups):
        sizes = [(drawn.randint(40, 200), drawn.randint(40, 200)) for _ in range(images)]
        pictures = [Image.radial_gradient("L").resize(size).convert("RGB") for size in sizes]
        prompt = messages("Find objects. " * (1 + number), "")
        prompt[-1]["content"] = [
            *({"type": "image"} for _ in pictures),
            {"type": "text", "text": "Find objects. " * (1 + number)},
        ]
        for _ in range(completions):
            words = " ".join(drawn.choices(WORDS, k=drawn.randint(1, 30)))
            rows.append((prompt, pictures, words))
    if scattered:
        drawn.shuffle(rows)
    chats = [
        processor.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for prompt, _, _ in rows
    ]
    images = [pictures for _, pictures, _ in rows]
    processor.tokenizer.padding_side = "left"
    inputs = dict(
        processor(
            text=chats, images=images if any(images) else None, padding=True, return_tensors="pt"
        )
    )
    texts = [words for *_, words in rows]
    said = processor.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    labels = said["input_ids"].masked_fill(said["attention_mask"] == 0, -100)
    labels = torch.cat([torch.full_like(inputs["input_ids"], -100), labels], 1)
    for name in ("input_ids", "attention_mask"):
        inputs[name] = torch.cat([inputs[name], said[name]], 1)
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == processor.image_token_id).int()
    return inputs | {"labels": labels}


def passed(model, inputs, install):
    """Log-probabilities, entropies, and gradients by name."""
    plain = model.forward
    install(model)
    model.zero_grad(set_to_none=True)
    found = model(**inputs, fused_lm_head=True)
    weights = torch.randn(found.log_probs.shape, generator=torch.Generator().manual_seed(1))
    (found.log_probs * weights).sum().backward()
    model.forward = plain
    named = model.named_parameters()
    return found.log_probs, found.entropy, {n: p.grad for n, p in named if p.grad is not None}


def theirs(model):
    add_fused_lm_head(model, 0.7, outputs=("log_probs", "entropy"))


def ours(mode=FastPath.require):
    sharing = SharedPrefix(mode)

    def install(model):
        head = ScoringHead(sharing=sharing)
        head.add_to(model, 0.7, outputs=("log_probs", "entropy"))

    return sharing, install


def check_equal(model, inputs, mode=FastPath.require):
    """Compare, and return what was saved."""
    log_probs, entropy, grads = passed(model, inputs, theirs)
    sharing, install = ours(mode)
    found = passed(model, inputs, install)
    torch.testing.assert_close(found[0], log_probs, atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], entropy, atol=1e-5, rtol=1e-5)
    assert found[2].keys() == grads.keys()
    assert any("visual" in name and grad.any() for name, grad in grads.items()) == (
        "pixel_values" in inputs and not any("lora" in name for name in grads)
    )
    for name, grad in grads.items():
        apart, size = (found[2][name] - grad).norm().item(), grad.norm().item()
        assert apart <= 1e-4 * size + 1e-7, name
    return sharing.measured()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_a_batch_is_passed_as_by_trl(family, processor, groups, checkpointing):
    model = build(family, processor).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    saved = check_equal(model, batch(processor, groups))
    images, kept = sum(i * c for i, c in groups), sum(i for i, _ in groups)
    if images:
        assert saved["speed/images_saved"] == pytest.approx(1 - kept / images)
    assert 0.2 < saved["speed/prefix_saved"] < 1


def test_adapters_learn_as_by_trl(family, processor):
    config = ModelConfig(path="-", family=family.name, lora=LoraConfig(enable=True, dropout=0.0))
    model = add_lora(build(family, processor), config, seed=0).train()
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # which begins with zeros, so that the other half gets no gradient
            torch.nn.init.normal_(parameter, std=0.1)
    check_equal(model.get_base_model(), batch(processor, GROUPS["one image"]))


def test_under_autocast_it_is_as_exact_as_trls_pass(family, processor):
    """Compared with fp32, mean over tokens and norm of all gradients."""
    model, inputs = build(family, processor).train(), batch(processor, [(1, 6), (1, 3)])
    exact, *_, exact_grads = passed(model, inputs, theirs)
    apart = []
    for install in (theirs, ours()[1]):
        with torch.autocast("cpu", torch.bfloat16):
            log_probs, _, grads = passed(model, inputs, install)
        errors = [(grads[name] - grad).norm() for name, grad in exact_grads.items()]
        apart.append(((log_probs - exact).abs().mean(), torch.stack(errors).norm()))
    for trls, mine in zip(*apart, strict=True):
        assert 0 < mine < 1.3 * trls


def test_gradients_are_the_same_bit_for_bit_on_several_threads(family, processor):
    """Completions of a group begin at one place, whose gradients must be added in one order."""
    model, inputs = build(family, processor), batch(processor, [(0, 16), (0, 16)])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, *others = (passed(model, inputs, ours()[1])[2] for _ in range(20))
    finally:
        torch.set_num_threads(threads)
    for other in others:
        assert all(torch.equal(other[name], grad) for name, grad in first.items())


def test_a_row_without_labels_costs_nothing(family, processor):
    model, inputs = build(family, processor), batch(processor, [(1, 4), (1, 1)], scattered=False)
    inputs["labels"][4] = -100  # of the second prompt
    assert check_equal(model, inputs)["speed/images_saved"] == pytest.approx(4 / 5)


def test_a_batch_without_labels_gives_gradients_of_zero(family, processor):
    """Every process runs backward through every part, or the others wait for it."""
    model, inputs = build(family, processor), batch(processor, [(1, 2)])
    inputs["labels"][:] = -100
    log_probs, _, grads = passed(model, inputs, ours()[1])
    assert not log_probs.any()
    assert any("visual" in name for name in grads)
    assert not any(grad.any() for grad in grads.values())


def test_equal_words_with_other_images_are_not_shared(family, processor):
    model, inputs = build(family, processor), batch(processor, [(1, 3)])
    first = int(inputs["image_grid_thw"][0].prod())
    inputs["pixel_values"][:first] += 1.0
    assert check_equal(model, inputs)["speed/images_saved"] == pytest.approx(1 / 3)


def test_off_passes_the_batch_as_it_is(family, processor):
    model, inputs = build(family, processor), batch(processor, GROUPS["one image"])
    assert check_equal(model, inputs, FastPath.off) == {}


def holes(inputs):
    """One token within a prompt is padding."""
    place = int(inputs["attention_mask"][0].argmax()) + 3
    inputs["attention_mask"][0, place] = 0


def test_a_batch_with_padding_within_is_passed_plainly_or_refused(processor, family, caplog):
    model, inputs = build(family, processor), batch(processor, [(1, 2)])
    holes(inputs)
    with caplog.at_level("INFO", "sgg"):
        assert check_equal(model, inputs, FastPath.auto) == {}
    assert "padding within" in caplog.text
    with pytest.raises(SggError, match=r"stage\.fast_path=require.*padding within"):
        passed(model, inputs, ours()[1])


def test_a_batch_with_videos_is_not_packed(processor, family):
    model, inputs = build(family, processor), batch(processor, [(1, 2)])
    labels = inputs.pop("labels")
    sharing = SharedPrefix(FastPath.auto)
    sharing.prepare(model)
    assert sharing.packed(model, labels, inputs) is not None
    inputs["video_grid_thw"] = torch.tensor([[1, 2, 2]])
    assert sharing.packed(model, labels, inputs) is None


def test_a_compiled_model_is_passed_plainly_or_refused(processor, family):
    model = build(family, processor)
    with pytest.raises(SggError, match=r"stage\.fast_path=require.*torch_compile"):
        SharedPrefix(FastPath.require, compiled=True).prepare(model)
    sharing = SharedPrefix(FastPath.auto, compiled=True)
    sharing.prepare(model)
    assert not sharing.is_on


def test_a_model_that_attends_otherwise_is_passed_plainly_or_refused(family, processor, caplog):
    model = build(family, processor)
    model.base_model.language_model.config._attn_implementation = "eager"
    with pytest.raises(SggError, match=r"stage\.fast_path=require.*model\.attention=eager"):
        SharedPrefix(FastPath.require).prepare(model)
    with caplog.at_level("INFO", "sgg"):
        saved = check_equal(model, batch(processor, [(1, 2)]), FastPath.auto)
    assert saved == {}
    assert "model.attention=eager" in caplog.text


def test_generation_is_as_before(family, processor):
    model, inputs = build(family, processor).eval(), batch(processor, [(1, 2)])
    asked = {name: value for name, value in inputs.items() if name != "labels"}
    before = model.generate(**asked, max_new_tokens=8, do_sample=False)
    ours()[1](model)
    assert torch.equal(model.generate(**asked, max_new_tokens=8, do_sample=False), before)
