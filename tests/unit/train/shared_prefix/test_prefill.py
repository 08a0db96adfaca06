"""Generation whose first pass has each prompt once writes what transformers' own writes."""

import random

import pytest
import torch
from PIL import Image
from transformers import DynamicCache

from sgg.config.stage import FastPath
from sgg.errors import SggError
from sgg.models import tiny
from sgg.models.families import TinySize
from sgg.text.prompt import messages
from sgg.train.logprobs import ScoringHead
from sgg.train.shared_prefix.sharing import SharedPrefix

GROUPS = {
    "no image": [(0, 4), (0, 3)],
    "one image": [(1, 8), (1, 2), (1, 1)],
    "two images": [(2, 4), (2, 2)],
    "any": [(1, 2), (0, 3), (2, 2), (1, 1)],
}
"""Images and completions of each prompt."""


@pytest.fixture(scope="module")
def weights(family, processor):
    size = TinySize(width=64, vision_width=64)
    return tiny.build_model(family, size, processor.tokenizer, seed=0)


@pytest.fixture
def model(weights):
    plain = weights.eval().forward
    yield weights
    weights.forward = plain


class Counted:
    """Rows of each pass of the language model, and patches of each pass of the vision tower."""

    def __init__(self, model):
        self.rows, self.patches = [], []
        body, tower = model.base_model.language_model, model.base_model.visual
        self._hooks = [
            body.register_forward_pre_hook(self._body, with_kwargs=True),
            tower.register_forward_pre_hook(self._tower, with_kwargs=True),
        ]

    def _body(self, module, args, kwargs):
        self.rows.append(len(kwargs["inputs_embeds"]))

    def _tower(self, module, args, kwargs):
        self.patches.append(len(args[0] if args else kwargs["hidden_states"]))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for hook in self._hooks:
            hook.remove()


def batch(processor, groups, *, seed=0):
    """Prompts as TRL passes them to `generate`, rows in any order."""
    drawn, rows = random.Random(seed), []
    for number, (images, completions) in enumerate(groups):
        sizes = [(drawn.randint(40, 200), drawn.randint(40, 200)) for _ in range(images)]
        pictures = [Image.radial_gradient("L").resize(size).convert("RGB") for size in sizes]
        prompt = messages("", "")
        prompt[-1]["content"] = [
            *({"type": "image"} for _ in pictures),
            {"type": "text", "text": "Find objects. " * (1 + number)},
        ]
        rows += [(prompt, pictures)] * completions
    drawn.shuffle(rows)
    chats = [
        processor.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for prompt, _ in rows
    ]
    images = [pictures for _, pictures in rows]
    processor.tokenizer.padding_side = "left"
    return dict(
        processor(
            text=chats,
            images=images if any(images) else None,
            padding=True,
            return_tensors="pt",
            return_mm_token_type_ids=True,
        )
    )


def share(model, mode=FastPath.require, forbidden=()):
    ScoringHead(forbidden, sharing=SharedPrefix(mode)).add_to(model)


def generated(model, inputs, **settings):
    """Tokens, and the logits of each."""
    torch.manual_seed(0)
    found = model.generate(
        **inputs,
        max_new_tokens=12,
        min_new_tokens=12,
        return_dict_in_generate=True,
        output_logits=True,
        **settings,
    )
    return found.sequences, torch.stack(found.logits)


@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_tokens_and_logits_are_those_of_plain_passes(model, processor, groups, sampled):
    inputs = batch(processor, groups)
    tokens, logits = generated(model, inputs, do_sample=sampled)
    share(model)
    with Counted(model) as counted:
        found = generated(model, inputs, do_sample=sampled)
    assert torch.equal(found[0], tokens)
    torch.testing.assert_close(found[1], logits, atol=1e-5, rtol=0)
    rows = sum(completions for _, completions in groups)
    assert counted.rows == [len(groups)] + [rows] * 11
    if "pixel_values" in inputs:
        assert sum(counted.patches) < len(inputs["pixel_values"])


def test_equal_words_with_other_images_are_apart(model, processor):
    inputs = batch(processor, [(1, 3)])
    first = int(inputs["image_grid_thw"][0].prod())
    inputs["pixel_values"][:first] += 1.0
    tokens, logits = generated(model, inputs, do_sample=False)
    share(model)
    with Counted(model) as counted:
        found = generated(model, inputs, do_sample=False)
    assert counted.rows[0] == 2
    assert torch.equal(found[0], tokens)
    torch.testing.assert_close(found[1], logits, atol=1e-5, rtol=0)


def test_equal_rows_with_other_padding_are_apart(model, processor):
    inputs = batch(processor, [(0, 2)])
    inputs["attention_mask"][0, 0] = 0
    share(model)
    with Counted(model) as counted:
        generated(model, inputs)
    assert counted.rows[0] == 2


def test_forbidden_tokens_are_not_written_by_any_row(model, processor):
    inputs = batch(processor, [(1, 3), (1, 1)])
    first = generated(model, inputs, do_sample=False)[0][:, -12:].unique().tolist()
    share(model, forbidden=first)
    found = generated(model, inputs, do_sample=False)[0][:, -12:].unique().tolist()
    assert not {*found} & {*first}


def test_off_passes_all_rows(model, processor):
    share(model, FastPath.off)
    with Counted(model) as counted:
        generated(model, batch(processor, [(1, 4)]))
    assert counted.rows == [4] * 12


def test_what_is_not_known_is_passed_plainly_or_refused(model, processor):
    inputs = batch(processor, [(1, 3)])
    tokens = generated(model, inputs, do_sample=False)[0]
    plain = model.forward
    share(model, FastPath.auto)
    with Counted(model) as counted:
        found = generated(model, inputs, do_sample=False, output_hidden_states=True)[0]
    assert counted.rows[0] == 3
    assert torch.equal(found, tokens)
    model.forward = plain
    share(model)
    with pytest.raises(SggError, match=r"stage\.fast_path=require.*output_hidden_states"):
        generated(model, inputs, output_hidden_states=True)


def test_a_pass_without_positions_is_refused_by_require(model, processor):
    inputs = batch(processor, [(0, 3)])
    share(model)
    with pytest.raises(SggError, match=r"stage\.fast_path=require.*no positions"):
        model(**inputs, past_key_values=DynamicCache(config=model.config))
