"""Log-probabilities of a policy whose completions are held to a grammar: those of the masked distribution.

vLLM samples each token from those that the grammar allows, and reports log-probabilities of what is left.
TRL's trainer takes them from the whole vocabulary: with equal weights the ratio of the two would be far from
1. So `logprobs.ScoringHead` applies the same masks. xgrammar makes them from the completions' own tokens, as
vLLM has it do; a token that the grammar does not take ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from sgg.errors import SggError

CHUNK = 128
"""Tokens whose logits are there at once, as fp32 and as masks of whole numbers."""
_NEVER = -1e30
"""A masked logit: negligible in any softmax, but finite, so that the entropy has no NaN."""


class Masks:
    """Which tokens a grammar allows at each place of a completion."""

    def __init__(self, grammar: str, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        """Compile the grammar, which takes seconds for a large vocabulary.

        Args:
            vocabulary: rows of the model's head.
            ends: tokens that end a completion.

        """
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
        compiled = xgrammar.GrammarCompiler(info).compile_grammar(grammar)
        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=list(ends))
        self._words = xgrammar.get_bitmask_shape(1, vocabulary)[1]

    def packed(self, completions: Sequence[Sequence[int]]) -> torch.Tensor:
        """A mask for each token of each completion, one after the other: int32, 32 tokens a number.

        Raises:
            SggError: a completion is not what the grammar generates.

        """
        masks = torch.full((sum(map(len, completions)), self._words), -1, dtype=torch.int32)
        row = 0
        for completion in completions:
            self._matcher.reset()
            for place, token in enumerate(completion):
                if not self._matcher.is_terminated():
                    self._matcher.fill_next_token_bitmask(masks, row)
                if not self._matcher.accept_token(token):
                    raise SggError(
                        f"Token {token} at place {place} of a sampled completion is not what the grammar of "
                        "`grammar` allows there: vLLM did not hold the completion to it. Take grammar=null."
                    )
                row += 1
        return masks


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
