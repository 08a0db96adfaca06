"""Masked log-probabilities against a plain dense computation; masks of completions, whole and cut short."""

import numpy as np
import pytest
import torch
from benches import load
from torch.nn.functional import linear

from sgg.config.grammar import GrammarConfig, GrammarNames
from sgg.config.model import Frame
from sgg.errors import SggError
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.scene.boxes import FrameSpec
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import GraphSpec
from sgg.text.grammar import CompletionGrammar
from sgg.train.grammar_masks import CHUNK, Masks, masked_log_probs

VOCABULARY = 100
"""No multiple of 32: the last number of a mask is not full."""


def packed(allowed):
    """(N, V) of bool as xgrammar packs it."""
    bits = np.packbits(np.pad(allowed, ((0, 0), (0, -allowed.shape[1] % 32))), 1, "little")
    return torch.from_numpy(bits.view(np.int32).copy())


def problem(count, seed=0):
    random = np.random.default_rng(seed)
    allowed = random.random((count, VOCABULARY)) < 0.3
    labels = random.integers(0, VOCABULARY, count)
    allowed[np.arange(count), labels] = True
    torch.manual_seed(seed)
    hidden = torch.randn(count, 16, requires_grad=True)
    weight = torch.randn(VOCABULARY, 16, requires_grad=True)
    bias = torch.randn(VOCABULARY)
    return hidden, weight, bias, torch.from_numpy(labels), allowed


def dense(hidden, weight, bias, labels, allowed, temperature):
    """Token by token, over what is allowed alone."""
    logits = linear(hidden, weight, bias) / temperature
    scores, entropies, removed = [], [], []
    for row, label, kept in zip(logits, labels, torch.from_numpy(allowed), strict=True):
        own = row[kept].log_softmax(-1)
        scores.append(own[kept[:label].sum()])
        entropies.append(-(own.exp() * own).sum())
        removed.append(row.softmax(-1)[~kept].sum())
    return torch.stack(scores), torch.stack(entropies), torch.stack(removed)


@pytest.mark.parametrize("count", [1, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_bias", [False, True])
def test_log_probs_entropies_and_gradients_are_those_of_the_masked_distribution(
    count, temperature, with_bias
):
    hidden, weight, bias, labels, allowed = problem(count)
    bias = bias if with_bias else None
    seen = []
    for function, mask in ((masked_log_probs, packed(allowed)), (dense, allowed)):
        scores, entropies, removed = function(hidden, weight, bias, labels, mask, temperature)
        weighted = scores * torch.linspace(-1, 1, count) + 0.3 * entropies
        gradients = torch.autograd.grad(weighted.sum(), (hidden, weight))
        seen.append((scores, entropies, removed, *gradients))
    for ours, theirs in zip(*seen, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_no_token_to_score_still_has_gradients():
    """Every process runs backward, or the others wait for it."""
    hidden, weight, bias, labels, allowed = problem(1)
    none = masked_log_probs(hidden[:0], weight, bias, labels[:0], packed(allowed)[:0], 1.0)
    none[0].sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.fixture(scope="module")
def processor():
    return load_processor(locate("tiny_qwen2_vl"), 3136, 12544)


@pytest.fixture(scope="module")
def masks(processor):
    pytest.importorskip("xgrammar", reason="xgrammar comes with vLLM")
    tokenizer = processor.tokenizer
    return Masks(GRAMMAR, tokenizer, len(tokenizer), [tokenizer.eos_token_id])


SHAPES = VOCABULARIES["shapes"]
BOUNDS = GrammarConfig(2, 1, 0, 1, 1, GrammarNames.prompt)
GRAMMAR = CompletionGrammar(GraphSpec(FrameSpec(Frame.norm1000)), BOUNDS, SHAPES).grammar()
COMPLETION = '{"objects":[{"id":"red circle.1","bbox":[1,2,900,800]}],"relationships":[]}'


def allowed(row, size):
    return set(np.flatnonzero(np.unpackbits(row.numpy().view(np.uint8), bitorder="little")[:size]))


def test_masks_follow_the_completion_to_its_end(processor, masks):
    tokenizer = processor.tokenizer
    ids = [*tokenizer(COMPLETION)["input_ids"], tokenizer.eos_token_id]
    rows = masks.packed([ids[:5], ids])
    assert len(rows) == len(ids) + 5
    assert torch.equal(rows[:5], rows[5:10])  # one cut short has the masks of its beginning
    size = len(tokenizer)
    for token, row in zip(ids, rows[5:], strict=True):
        assert token in allowed(row, size)
    assert allowed(rows[-1], size) == {tokenizer.eos_token_id}
    assert all(tokenizer.decode([t])[0] == "{" for t in allowed(rows[0], size))


def test_a_completion_outside_the_grammar_is_told(processor, masks):
    ids = processor.tokenizer(COMPLETION.replace("bbox", "box"))["input_ids"]
    with pytest.raises(SggError, match="not what the grammar of `grammar` allows"):
        masks.packed([ids])


@pytest.fixture(scope="module")
def bench():
    pytest.importorskip("xgrammar", reason="xgrammar comes with vLLM")
    return load("grammar")


@pytest.fixture(scope="module")
def published(bench):
    return bench.build_tokenizer(bench.FAMILY)


@pytest.mark.parametrize("case", ["open", "open, thought"])
def test_masks_of_an_open_prompt_on_the_published_vocabulary(bench, published, case):
    (case,) = (c for c in bench.CASES if c.name == case)
    timed, end = bench.Timed(case.grammar.grammar(), published), published.eos_token_id
    took = []
    for text in bench.written(case, 5):  # `follow` refuses what the masks refuse
        took += timed.follow([*published(text)["input_ids"], end])
        took += timed.follow([*(i for c in text for i in published(c)["input_ids"]), end])
    assert np.mean(took) < 300  # 10 µs; thousands where tokens are tried one by one
    generator = np.random.default_rng(0)
    for _ in range(10):
        ids, _ = timed.draw(generator, end)
        assert not bench.fails(published.decode(ids), case)
