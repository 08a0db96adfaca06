"""Completions a second by vLLM beside transformers, same machine, same model: `python bench/generate.py`.

    --model PATH    model.path: a tiny base's name, a run folder, a folder, a hub id
    --images N      images, each another one
    --tokens N      longest completion
    --batches N …   images of a batch of transformers, several in turn; 8 is the config's default
    --side N        width and height of the images, pixels
    --gpu           on the GPU in bf16, with the larger batch sizes it takes

Prints the speeds and their ratios; the time until an engine is up is not in them, but printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sgg.config.model import ModelConfig
from sgg.inference.generate import Batch, Engine, Request, Sampling
from sgg.inference.hf import HfEngine
from sgg.inference.vllm.engine import VllmEngine
from sgg.inference.vllm.limits import EngineLimits
from sgg.models.load import family_of, load_model
from sgg.models.processor import load_processor
from sgg.models.vllm_folder import write_for_vllm
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages

SIDE = 112
WARM_UP = 8


def requests(count: int, side: int, seed: int) -> list[Request]:
    """Images of coloured blocks."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    images = (Image.fromarray(b).resize((side, side), Image.Resampling.NEAREST) for b in blocks)
    return [Request(f"{seed}-{i}", messages(BRIEF, ""), p) for i, p in enumerate(images)]


def batches(asked: list[Request], size: int) -> Iterator[Batch]:
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        yield Batch(start, part, {(r.image_id, 0) for r in part})


def measure(name: str, engine: Engine, images: int, side: int) -> float:
    """Tokens a second, warm."""
    list(engine.completions(batches(requests(WARM_UP, side, seed=0), engine.batch_size)))
    asked = requests(images, side, seed=1)
    start = time.perf_counter()
    completions = dict(engine.completions(batches(asked, engine.batch_size)))
    seconds = time.perf_counter() - start
    tokens = sum(completion.tokens for completion in completions.values())
    print(
        f"{name:<28} {len(completions) / seconds:7.1f} completions/s {tokens / seconds:9.0f} tokens/s"
    )
    return tokens / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="tiny_qwen2_5_vl")
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32], help="of transformers")
    parser.add_argument("--side", type=int, default=SIDE, help="of the images, pixels")
    parser.add_argument("--gpu", action="store_true")
    asked = parser.parse_args()
    dtype = torch.bfloat16 if asked.gpu else torch.float32
    source = locate(asked.model)
    processor = load_processor(source, 3136, max(3136, asked.side**2))
    model = ModelConfig(path=asked.model, family=family_of(source).name)
    sampling = Sampling(asked.tokens, temperature=1.0)
    loaded = load_model(model, source, dtype, seed=0).to("cuda" if asked.gpu else "cpu")
    theirs = {}
    for size in asked.batches:
        hf = HfEngine(loaded, processor, sampling, size)
        theirs[size] = measure(f"transformers, batches of {size}", hf, asked.images, asked.side)
    del hf, loaded
    torch.cuda.empty_cache()
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "model"
        write_for_vllm(model, source, processor, dtype, 0, served)
        start = time.perf_counter()
        room = EngineLimits(256 if asked.gpu else 64, 4096, 0.8, asked.gpu)
        vllm = VllmEngine(served, processor, sampling, dtype, room)
        up = time.perf_counter() - start
        ours = measure("vLLM", vllm, asked.images, asked.side)
        vllm.close()
    print(f"vLLM up in {up:.0f} s. Tokens a second, vLLM / transformers:")
    for size, speed in theirs.items():
        print(f"  {ours / speed:.2f} of batches of {size}")


if __name__ == "__main__":
    main()
