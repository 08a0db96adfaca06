"""Log-probabilities of a policy whose answers are held to a grammar: those of the masked distribution.

vLLM samples each token from those that the grammar allows, and reports log-probabilities of what is left.
TRL's trainer takes them from the whole vocabulary: with equal weights the ratio of the two would be far from
1. Here the trainer's heads, the reference model's among them, are given the same masks. xgrammar makes them
from the answers' own tokens, as vLLM has it do; a token that the grammar does not take ends the run.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint
from trl.trainer.utils import FusedCausalLMOutput

from sgg.errors import SggError

CHUNK = 128
"""Tokens whose logits are there at once, as fp32 and as masks of whole numbers."""
_NEVER = -1e30
"""A logit that no sum notices, finite so that its share of the entropy is 0 and no NaN."""


class Masks:
    """Which tokens a grammar allows at each place of an answer."""

    def __init__(self, grammar: str, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        """Compile the grammar, which takes seconds for a large vocabulary.

        Args:
            vocabulary: rows of the model's head.
            ends: tokens that end an answer.

        """
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
        compiled = xgrammar.GrammarCompiler(info).compile_grammar(grammar)
        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=list(ends))
        self._words = xgrammar.get_bitmask_shape(1, vocabulary)[1]

    def packed(self, answers: Sequence[Sequence[int]]) -> torch.Tensor:
        """A mask for each token of each answer, one after the other: int32, 32 tokens a number.

        Raises:
            SggError: an answer is not what the grammar generates.

        """
        masks = torch.full((sum(map(len, answers)), self._words), -1, dtype=torch.int32)
        row = 0
        for answer in answers:
            self._matcher.reset()
            for place, token in enumerate(answer):
                if not self._matcher.is_terminated():
                    self._matcher.fill_next_token_bitmask(masks, row)
                if not self._matcher.accept_token(token):
                    raise SggError(
                        f"Token {token} at place {place} of a sampled answer is not what the grammar of "
                        "`grammar` allows there: vLLM did not hold the answer to it. Take grammar=null."
                    )
                row += 1
        return masks


class GrammarMaskedHead:
    """Puts the masks into models that TRL gave a fused head; knows how much they took away."""

    def __init__(self, masks: Masks, temperature: float, in_fp32: bool) -> None:
        self._masks, self._temperature, self._in_fp32 = masks, temperature, in_fp32
        self.masked_mass = torch.tensor(0.0)
        """Probability that the last forward's masks took away, mean over the tokens."""

    def put_into(self, model: Any) -> None:
        """Let `model(…, labels=…, fused_lm_head=True)` answer by the masked distribution."""
        theirs = model.forward

        @functools.wraps(type(model).forward)
        def forward(own: Any, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
            if not fused_lm_head:
                return theirs(*args, **kwargs)
            return self._scored(own, kwargs.pop("labels"), args, kwargs)

        model.forward = types.MethodType(forward, model)

    def _scored(self, model: Any, labels: torch.Tensor, args: Any, kwargs: Any) -> Any:
        hidden = model.base_model(*args, **kwargs, use_cache=False).last_hidden_state[:, :-1]
        labels = labels[:, 1:]
        wanted = labels != -100
        answers = [row[keep].tolist() for row, keep in zip(labels, wanted, strict=True)]
        masks = self._masks.packed(answers).to(labels.device)
        hidden, head = hidden[wanted], model.get_output_embeddings()
        if self._in_fp32:
            hidden = hidden.float()
        cast = torch.autocast(hidden.device.type, enabled=False) if self._in_fp32 else nullcontext()
        with cast:
            scores, entropies, removed = masked_log_probs(
                hidden, head.weight, head.bias, labels[wanted], masks, self._temperature
            )
        self.masked_mass = removed.mean()

        def spread(values: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(wanted.shape).masked_scatter(wanted, values)

        return FusedCausalLMOutput(log_probs=spread(scores), entropy=spread(entropies))


def masked_log_probs(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    labels: torch.Tensor,
    masks: torch.Tensor,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of the labels, entropies, and the mass removed, each (N,); nats.

    Chunk by chunk, and once more for the gradients, so that the logits of all tokens never are there at once.

    Args:
        hidden: (N, H).
        weight: of the head, (V, H).
        masks: (N, words) as `Masks.packed` gives them.

    """
    parts = [
        checkpoint(_chunk, *pieces, weight, bias, temperature, use_reentrant=False)
        for pieces in zip(*(torch.split(t, CHUNK) for t in (hidden, labels, masks)), strict=True)
    ]
    scores, entropies, removed = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return scores, entropies, removed


def _chunk(
    hidden: torch.Tensor,
    labels: torch.Tensor,
    masks: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits = linear(hidden, weight, bias).float() / temperature
    kept = logits.masked_fill(~_unpacked(masks, logits.shape[-1]), _NEVER)
    with torch.no_grad():
        removed = 1 - (kept.logsumexp(-1) - logits.logsumexp(-1)).exp()
    scores = kept.log_softmax(-1)
    entropies = -(scores.exp() * scores).sum(-1)
    return scores.gather(-1, labels[:, None])[:, 0], entropies, removed


def _unpacked(masks: torch.Tensor, size: int) -> torch.Tensor:
    """(N, words) of int32 -> (N, size) of bool, the lowest bit first."""
    bits = masks[:, :, None] >> torch.arange(32, dtype=torch.int32, device=masks.device)
    return (bits & 1).bool().flatten(1)[:, :size]


def apply_masks(trainer: Any, grammar: str, ends: Sequence[int]) -> GrammarMaskedHead:
    """Give the trainer's model, and its reference model, heads that carry the grammar's masks."""
    model = trainer.model.get_base_model() if is_peft_model(trainer.model) else trainer.model
    size = model.get_output_embeddings().weight.shape[0]
    masks = Masks(grammar, trainer.processing_class.tokenizer, size, ends)
    head = GrammarMaskedHead(masks, trainer.temperature, trainer.args.cast_lm_head_to_fp32)
    for held in filter(None, (model, trainer.ref_model)):
        head.put_into(held)
    return head
