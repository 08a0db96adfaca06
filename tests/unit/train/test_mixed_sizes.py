"""Images of different sizes in one micro batch: each row is scored as it is alone.

A thin one (1 : 20), one that is shrunk to the pixel limit, one below it, one at the least size; prompts and
completions of different lengths.
"""

import pytest
import torch
from PIL import Image
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from sgg.models import tiny
from sgg.models.families import FAMILIES, TinySize
from sgg.models.processor import build_processor
from sgg.text.prompt import messages
from sgg.train.logprobs import ScoringHead

SIZES = [(1000, 50), (900, 700), (120, 90), (20, 20), (50, 1000)]
COMPLETIONS = ["red circle", "red circle left of green square 1 2 3", "blue", "1 2", "green cross"]


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def made(request):
    """(model, processor) of a family, within 4 to 64 tokens an image."""
    family = request.param
    tokenizer = tiny.build_tokenizer(family)
    model = tiny.build_model(family, TinySize(), tokenizer, seed=0)
    area = family.factor**2
    return model.eval(), build_processor(tokenizer, family, 4 * area, 64 * area)


@pytest.fixture(scope="module")
def rows():
    """As the trainers have them."""
    coloured = [Image.radial_gradient("L").resize(size).convert("RGB") for size in SIZES]
    return [
        {
            "images": [image],
            "prompt": messages("Find the objects. " * (1 + place % 3), ""),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": words}]}],
        }
        for place, (image, words) in enumerate(zip(coloured, COMPLETIONS, strict=True))
    ]


def test_sizes_are_as_different_as_can_be(made, rows):
    images = [row["images"][0] for row in rows]
    grids = made[1].image_processor(images=images, return_tensors="pt")["image_grid_thw"]
    tokens = (grids.prod(-1) // 4).tolist()
    assert max(tokens) <= 64
    assert min(tokens) == 4
    assert len(set(tokens)) >= 3
    assert grids[0, 2] >= 20 * grids[0, 1] / 2  # thin


def test_losses_and_gradients_of_sft_are_those_of_one_by_one(made, rows):
    model, processor = made
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    found = []
    for parts in ([rows], [[row] for row in rows]):
        batches = [collate([dict(row) for row in part]) for part in parts]
        count = sum((batch["labels"][:, 1:] != -100).sum() for batch in batches)
        model.zero_grad()
        losses = [model(**batch, num_items_in_batch=count).loss for batch in batches]
        loss = sum(losses)
        loss.backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found.append((loss.item(), grads))
    (together, grads), (alone, expected) = found
    assert together == pytest.approx(alone, abs=1e-5)
    assert any("visual" in name and grad.any() for name, grad in grads.items())
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected[name], atol=1e-5, rtol=1e-3)


def padded(processor, rows):
    """Prompts padded on the left, completions on the right, as GRPO's trainer has them; with labels."""
    chats = [
        processor.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        for row in rows
    ]
    images = [row["images"] for row in rows]
    inputs = dict(processor(text=chats, images=images, padding=True, return_tensors="pt"))
    texts = [row["completion"][0]["content"][0]["text"] for row in rows]
    said = processor.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    prompt = inputs["input_ids"]
    for name, more in (
        ("input_ids", said["input_ids"]),
        ("attention_mask", said["attention_mask"]),
        ("mm_token_type_ids", torch.zeros_like(said["input_ids"])),
    ):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], more], 1)
    labels = said["input_ids"].masked_fill(said["attention_mask"] == 0, -100)
    return inputs | {"labels": torch.cat([torch.full_like(prompt, -100), labels], 1)}


def test_log_probabilities_of_grpo_are_those_of_one_by_one(made, rows):
    model, processor = made
    plain = model.forward
    ScoringHead(processor.forbidden_ids).add_to(model)

    def scores(part):
        inputs = padded(processor, part)
        with torch.no_grad():
            scored = model(**inputs, fused_lm_head=True).log_probs
        wanted = inputs["labels"][:, 1:] != -100
        return [row[keep] for row, keep in zip(scored, wanted, strict=True)]

    together, alone = scores(rows), [scores([row])[0] for row in rows]
    model.forward = plain
    assert len({len(row) for row in together}) > 2
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)
    assert max(float(row.min()) for row in together) < -1
