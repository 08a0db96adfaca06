"""Tokens that no completion holds, forbidden alike wherever completions are sampled or scored.

They stand for images, whose pixels the model would look for, or they are no tokens at all: the head of a
published model has 267 to 407 rows more than its tokenizer has tokens, and such a row decodes to nothing.
"""

from __future__ import annotations

from typing import Any

from sgg.models.families import ModelFamily
from sgg.models.qwen_vocabulary import published_tokens

BIAS = -100.0
"""Added to the logits of forbidden tokens: it divides their odds by e^100, so they are practically never
sampled and have no share in the entropy, while log-probabilities stay finite."""


def forbidden_ids(tokenizer: Any, family: ModelFamily, rows: int) -> list[int]:
    """Ids of the tokens that stand for images, then, ascending, those without a token.

    The latter begin where the family's published tokenizer ends; a tokenizer that was given tokens of its
    own keeps them. A tiny model, which has a small vocabulary instead, has its own 30 rows too many left.

    Args:
        tokenizer: the model's.
        family: the model's.
        rows: of the model's head.

    """
    used = set(tokenizer.get_vocab().values())
    unused = (i for i in range(published_tokens(family), rows) if i not in used)
    return [*tokenizer.convert_tokens_to_ids(list(family.vision_tokens)), *unused]
