"""Tiny models: the true architectures of all families at about 1 M parameters, built offline.

Input: a `TinySize` and a seed. Output: a randomly initialised transformers model and a
processor whose tokenizer has Qwen's special tokens and chat format. What makes so small a model
learn to see in CPU minutes (measured, docs/tiny.md): a wide initialiser for the text part, words
and whole numbers as single tokens, Muon. Head dimension 32 and stock RoPE keep vLLM's CPU build able
to serve it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sgg.models.families import ModelFamily, TinySize
from sgg.models.qwen_vocabulary import SPECIAL_TOKENS
from sgg.scene.vocab import VOCABULARIES
from sgg.text.prompt import BRIEF

DEFAULT_SYSTEM = (
    "{%- if messages[0].role != 'system' %}"
    "{{- '<|im_start|>system\\n[text]<|im_end|>\\n' }}"
    "{%- endif %}"
)
"""Where a chat template writes a system turn of its own, it begins with this."""

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string %}{{- message.content }}"
    "{%- else %}{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else %}{{- part.text }}{%- endif %}"
    "{%- endfor %}{%- endif %}"
    "{{- '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""The chat format of all families: role headers, image placeholders."""

SYMBOLS = (
    '{"objects":[{"id":"',
    '","bbox":[',
    ']},{"id":"',
    ']}],"relationships":[{"subject":"',
    ']}],"relationships":[]}',
    "]}]}",
    '","predicate":"',
    '","object":"',
    '"},{"subject":"',
    '"}]}',
)
"""What `codec.render` writes between names and numbers: one token each."""

PRETRAINING_TEXTS = ("Find the objects.", "Compare the sizes.", "larger than", "smaller than")
"""What the shipped base models were pre-trained with; see `tiny_base`."""

LARGEST_NUMBER = 1000
"""Whole numbers up to this one are single tokens: all families' frames at the tiny size."""


def build_tokenizer(family: ModelFamily) -> Any:
    """A `PreTrainedTokenizerFast`: bytes, plus whole words, numbers and JSON pieces as tokens.

    Any text can be written (unknown words fall back to bytes) and decodes to itself.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    whole = [byte_level.pre_tokenize_str(piece)[0][0] for piece in _pieces()]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*alphabet, *whole]))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    symbols = "|".join(re.escape(s) for s in sorted(SYMBOLS, key=len, reverse=True))
    pattern = Regex(f"{symbols}| ?\\p{{L}}+|\\p{{N}}+|\\n|[^\\s\\p{{L}}\\p{{N}}]|\\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), byte_level]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in _NAMED_SPECIALS],
        chat_template=chat_template(family),
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    written = [token for token in family.added_tokens if token in THOUGHT]
    fast.add_tokens([AddedToken(token, normalized=False) for token in written])
    return fast


def chat_template(family: ModelFamily) -> str:
    """The family's, without tools and videos."""
    text = family.default_system
    return (DEFAULT_SYSTEM.replace("[text]", text) if text else "") + CHAT_TEMPLATE


THOUGHT = ("<think>", "</think>")
"""Of the tokens that families add to Qwen's those that completions hold."""

_NAMED_SPECIALS = ("<|im_end|>", "<|endoftext|>")


def _pieces() -> Iterator[str]:
    """Texts that become single tokens. Later words of a name carry their space, as in Qwen."""
    yield from SYMBOLS
    yield from (str(n) for n in range(10, LARGEST_NUMBER + 1))
    yield from ("system", "user", "assistant", "think", "answer", "You")
    texts = ["You are a helpful assistant.", BRIEF, *PRETRAINING_TEXTS]
    for vocabulary in VOCABULARIES.values():
        texts += [*vocabulary.objects, *vocabulary.predicates]
    for text in texts:
        yield from (m.group() for m in re.finditer(r" ?[A-Za-z]+", text))


def build_model(family: ModelFamily, size: TinySize, tokenizer: Any, seed: int) -> Any:
    """A randomly initialised model of the family's architecture, fp32, on the CPU."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForImageTextToText.from_config(_config(family, size, tokenizer))


def _config(family: ModelFamily, size: TinySize, tokenizer: Any) -> Any:
    from transformers import AutoConfig

    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    heads = size.width // 32
    text = {
        "vocab_size": size.vocabulary_rows or -(-len(tokenizer) // 64) * 64,
        "hidden_size": size.width,
        "intermediate_size": size.width * 2,
        "num_hidden_layers": size.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(heads // 2, 1),
        "max_position_embeddings": size.context,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 6, 6],
        },
        "tie_word_embeddings": True,
        "initializer_range": size.initializer_range,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        **family.tiny_text(),
    }
    return AutoConfig.for_model(
        family.name.name,
        text_config=text,
        vision_config=_vision(family, size),
        image_token_id=ids[family.image_token],
        video_token_id=ids[family.video_token],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def _vision(family: ModelFamily, size: TinySize) -> dict[str, Any]:
    return {
        "depth": size.vision_layers,
        "num_heads": size.vision_width // 32,
        "patch_size": family.patch_px,
        "spatial_merge_size": family.merge,
        "temporal_patch_size": 2,
        "initializer_range": size.vision_initializer_range,
        **family.tiny_tower(size),
    }
