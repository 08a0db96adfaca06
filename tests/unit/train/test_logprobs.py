"""The trainers' head: TRL's scores, without tokens that stand for images, and under a grammar's masks."""

import copy
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trl.trainer.utils import add_fused_lm_head

from sgg.config.model import Family, ModelConfig
from sgg.models.forbidden import BIAS
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages
from sgg.train.logprobs import TILE, ScoringHead

OUTPUTS = ("log_probs", "entropy")


class Small(torch.nn.Module):
    """As much of a model as a head needs."""

    def __init__(self, size, bias=False, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace(get_text_config=SimpleNamespace)
        self.base_model = torch.nn.Module()
        self.base_model.forward = self.body
        self.embed = torch.nn.Embedding(size, 8)
        self.lm_head = torch.nn.Linear(8, size, bias)
        if tied:
            self.lm_head.weight = self.embed.weight

    def body(self, input_ids, use_cache):
        return SimpleNamespace(last_hidden_state=self.embed(input_ids))

    def get_output_embeddings(self):
        return self.lm_head

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.lm_head(self.embed(input_ids)))


def asked(*rows, prompt):
    """Rows of tokens with their labels: none for the prompt, none where a row is padded with 0."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = ids.clone()
    labels[:, :prompt] = -100
    for row, tokens in enumerate(rows):
        labels[row, len(tokens) :] = -100
    return {"input_ids": ids, "labels": labels}


class Masks:
    """A grammar that allows even tokens, and what was written."""

    SIZE = 70

    def allowed(self, completion):
        kept = torch.arange(self.SIZE) % 2 == 0
        return torch.stack([kept | (torch.arange(self.SIZE) == token) for token in completion])

    def packed(self, completions):
        rows = torch.cat([self.allowed(completion) for completion in completions]).long()
        rows = torch.nn.functional.pad(rows, (0, -self.SIZE % 32)).view(len(rows), -1, 32)
        return (rows << torch.arange(32)).sum(-1).to(torch.int32)


def test_masked_scores_stand_in_their_places():
    model, masks, ids = Small(Masks.SIZE), Masks(), [3, 5, 8, 2, 31, 33, 69]
    head = ScoringHead([4], masks)
    head.add_to(model, temperature=1.3, cast_lm_head_to_fp32=True, outputs=OUTPUTS)
    rows = [[7, 9, 1, *ids], [7, 9, 1, *ids[:4]]]  # one is shorter
    scored = model(**asked(*rows, prompt=3), fused_lm_head=True)
    assert scored.log_probs.shape == scored.entropy.shape == (2, 9)
    logits = model(torch.tensor([rows[0]])).logits[0, 2:-1]
    scores = (logits / 1.3).masked_fill(~masks.allowed(ids), -torch.inf).log_softmax(-1)
    expected = scores[torch.arange(len(ids)), ids]
    torch.testing.assert_close(scored.log_probs[0, 2:], expected)
    torch.testing.assert_close(scored.log_probs[1, 2:6], expected[:4])
    assert not scored.log_probs[:, :2].any()
    assert not scored.log_probs[1, 6:].any()
    assert 0 < head.masked_mass < 1


def test_without_masks_no_mass_is_told():
    model, head = Small(Masks.SIZE), ScoringHead([4])
    head.add_to(model)
    model(**asked([1, 2, 3], prompt=1), fused_lm_head=True)
    assert head.masked_mass is None


@pytest.mark.parametrize("in_fp32", [False, True])
def test_scores_and_gradients_are_those_of_trls_head_with_a_bias(in_fp32):
    ours, theirs = Small(Masks.SIZE), Small(Masks.SIZE, bias=True)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    theirs.lm_head.bias.requires_grad_(requires_grad=False).zero_()
    theirs.lm_head.bias[[4, 6]] = BIAS
    more = {"temperature": 0.7, "cast_lm_head_to_fp32": in_fp32, "outputs": OUTPUTS}
    ScoringHead([4, 6]).add_to(ours, **more)
    add_fused_lm_head(theirs, **more)
    found = []
    for model in (ours, theirs):
        inputs = asked([7, 9, 1, 4, 8], [7, 9, 2, 11], prompt=2)
        plain = model(inputs["input_ids"]).logits
        scored = model(**inputs, fused_lm_head=True)
        (scored.log_probs.sum() - 0.1 * scored.entropy.sum()).backward()
        grads = [model.embed.weight.grad, model.lm_head.weight.grad]
        found.append([plain, scored.log_probs, scored.entropy, *grads])
    for one, other in zip(*found, strict=True):
        assert one.any()
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


LARGE = 40_000
"""A vocabulary of which only the wanted tokens are scored, in tiles."""
TELLS = ("log_probs", "entropy", "is_top1")


def plain(model, input_ids, labels, temperature=1.0):
    """What a head tells, from all logits at once."""
    logits = model(input_ids).logits[:, :-1].float() / temperature
    labels = labels[:, 1:]
    wanted = labels != -100
    scores = logits.log_softmax(-1)
    found = scores.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    entropy = -(scores.exp() * scores).sum(-1)
    return found * wanted, entropy * wanted, (logits.argmax(-1) == labels) & wanted, wanted


def told(model, inputs):
    scored = model(**inputs, fused_lm_head=True)
    return scored.log_probs, scored.entropy, scored.is_top1, scored.label_mask


def batch(*, only_prompts=False):
    """Three rows: two lengths of answers, and one without any label."""
    ids = torch.randint(0, LARGE, (3, 60), generator=torch.Generator().manual_seed(0)).tolist()
    inputs = asked(ids[0], ids[1][:45], ids[2], prompt=30)
    inputs["labels"][2] = -100
    if only_prompts:
        inputs["labels"][:] = -100
    return inputs


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_large_vocabulary_is_scored_as_from_all_logits(tied, temperature):
    model, inputs, found = Small(LARGE, tied=tied), batch(), []
    guess = model(inputs["input_ids"]).logits[0, 39].argmax()
    inputs["labels"][0, 40] = guess  # one is right, or the accuracy would be 0
    ScoringHead().add_to(model, temperature, outputs=TELLS)
    for way in (told, lambda m, i: plain(m, **i, temperature=temperature)):
        model.zero_grad()
        log_probs, entropy, *rest = way(model, inputs)
        (log_probs.sum() - 0.1 * entropy.sum()).backward()
        found.append([log_probs, entropy, *rest, *(p.grad for p in model.parameters())])
    assert found[0][2].any()
    for ours, theirs in zip(*found, strict=True):
        largest = theirs.detach().float().abs().max().item()
        assert largest > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * largest)


def test_under_autocast_a_large_vocabulary_is_scored_in_bf16():
    model, inputs = Small(LARGE), batch()
    ScoringHead().add_to(model, outputs=TELLS)
    with torch.autocast("cpu", torch.bfloat16):
        ours, wanted = told(model, inputs), plain(model, **inputs)
    assert ours[0].dtype == torch.float32
    (-ours[0].sum()).backward()
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=1e-3, atol=1e-2)
    assert model.lm_head.weight.grad.isfinite().all()


def test_a_batch_without_labels_has_no_loss_but_gradients():
    """Every process runs backward, or the others wait for it."""
    model = Small(LARGE)
    ScoringHead().add_to(model, outputs=TELLS)
    log_probs, entropy, is_top1, wanted = told(model, batch(only_prompts=True))
    log_probs.sum().backward()
    for values in (log_probs, entropy, is_top1, wanted):
        assert not values.any()
    assert not model.lm_head.weight.grad.any()


class LargestTensor(TorchDispatchMode):
    """Records how many numbers the largest tensor has that is made inside."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


@pytest.mark.parametrize(("way", "all_logits"), [(told, False), (lambda m, i: plain(m, **i), True)])
def test_the_logits_of_a_large_vocabulary_are_never_there_at_once(way, all_logits):
    model, inputs = Small(LARGE), batch()
    ScoringHead().add_to(model, outputs=TELLS)
    with LargestTensor() as largest:
        way(model, inputs)[0].sum().backward()
    wanted = int((inputs["labels"][:, 1:] != -100).sum())
    assert (largest.numbers >= wanted * LARGE) == all_logits
    if not all_logits:
        assert largest.numbers <= TILE


@pytest.fixture(scope="module")
def tiny():
    source = locate("tiny_qwen2_5_vl")
    config = ModelConfig(path="tiny_qwen2_5_vl", family=Family.qwen2_5_vl)
    return load_model(config, source, torch.float32, seed=0), load_processor(source, 3136, 12544)


@pytest.fixture
def model(tiny):
    return copy.deepcopy(tiny[0])


@pytest.fixture
def prompt(tiny):
    chat = messages(BRIEF, "")
    text = tiny[1].apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return tiny[1].tokenizer(text.replace("<|image_pad|>", ""), return_tensors="pt")["input_ids"]


@pytest.fixture
def forbidden(tiny):
    return tiny[1].forbidden_ids


def tempt(model, ids):
    """Lift the logits of these tokens far above all others."""
    head = model.get_output_embeddings()
    lifted = torch.zeros(head.weight.shape[0])
    lifted[ids] = 50.0
    original = head.forward
    head.forward = lambda hidden: original(hidden) + lifted


@pytest.mark.parametrize("count", [0, 1])
def test_generation_computes_the_logits_of_one_place_of_the_prompt(model, prompt, forbidden, count):
    for _ in range(count):
        ScoringHead(forbidden).add_to(model)
    shapes = []
    model.get_output_embeddings().register_forward_hook(
        lambda module, taken, made: shapes.append(tuple(made.shape[:2]))
    )
    model.generate(prompt, max_new_tokens=3, do_sample=False)
    assert shapes == [(1, 1)] * 3


@pytest.mark.slow
def test_forbidden_tokens_are_not_written(model, prompt, forbidden):
    tempt(model, forbidden)
    wanted = {"max_new_tokens": 8, "do_sample": True}
    written = model.generate(prompt, **wanted)[0, prompt.shape[1] :].tolist()
    assert set(written) <= set(forbidden)
    ScoringHead(forbidden).add_to(model)
    written = model.generate(prompt, **wanted)[0, prompt.shape[1] :].tolist()
    assert len(written) == 8
    assert not set(written) & set(forbidden)


@pytest.mark.slow
def test_scores_are_those_of_the_distribution_without_them(model, prompt, forbidden):
    with torch.no_grad():
        plain = model(input_ids=prompt).logits
        ScoringHead(forbidden).add_to(model)
        scored = model(input_ids=prompt, labels=prompt, fused_lm_head=True).log_probs
    plain[..., forbidden] -= 100.0
    wanted = plain[:, :-1].log_softmax(-1).gather(-1, prompt[:, 1:, None])[..., 0]
    assert torch.allclose(scored, wanted, atol=1e-5)


@pytest.mark.slow
def test_the_head_adds_nothing_to_what_is_saved(model, forbidden, tmp_path):
    names = {name for name, _ in model.named_parameters()}
    ScoringHead(forbidden).add_to(model)
    assert {name for name, _ in model.named_parameters()} == names
    model.save_pretrained(tmp_path)
    assert not any("lm_head.bias" in name for name in load_file(tmp_path / "model.safetensors"))
