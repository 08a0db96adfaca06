"""Vision attention in one call for each layer against transformers' loop: `python bench/vision_attention.py`.

    --device cuda   on the GPU in bf16; on the CPU in fp32
    --side N        width and height of the images, pixels
    --images N      images of a batch
    --layers N      layers of the tower; the published Qwen2.5-VL-3B has 32, every 8th over whole images

A tower of Qwen2.5-VL-3B's width with random weights, forward and backward. Prints for each way the median
milliseconds, their ratio to the loop's, and how far its features lie from the loop's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sgg.models import vision_attention

LOOP = "one call for each segment"
WAYS = {
    LOOP: ("sdpa", False),
    "one call for each length of segment": (vision_attention.PACKED, False),
    "one call, varlen kernel": (vision_attention.PACKED, True),
}
"""How to attend: the implementation's name, and whether by torch's kernel for segments of any length."""


def build_tower(layers: int, device: str) -> Any:
    """The vision tower of Qwen2.5-VL-3B, fewer layers of it."""
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

    config = qwen.Qwen2_5_VLVisionConfig()
    config.depth, config.hidden_size, config.num_heads = layers, 1280, 16
    config.intermediate_size, config.out_hidden_size = 3420, 2048
    config.fullatt_block_indexes = list(range(7, layers, 8)) or [layers - 1]
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    torch.manual_seed(0)
    with torch.device(device):
        return qwen.Qwen2_5_VisionTransformerPretrainedModel._from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )


@contextmanager
def attending(tower: Any, name: str, by_kernel: bool) -> Iterator[None]:
    """The tower attends by the implementation of that name, by torch's varlen kernel or without it."""
    chosen = vision_attention.has_varlen_kernel
    vision_attention.use_packed_attention(tower.config)  # which registers the name
    tower.config._attn_implementation = name
    vision_attention.has_varlen_kernel = lambda query: by_kernel
    try:
        yield
    finally:
        vision_attention.has_varlen_kernel = chosen


def one_pass(tower: Any, pixels: Any, grid: Any) -> tuple[float, Any]:
    """Seconds of forward and backward, and what the tower returns."""
    wait = torch.cuda.synchronize if pixels.is_cuda else (lambda: None)
    tower.zero_grad()
    wait()
    start = time.perf_counter()
    features = tower(pixels, grid_thw=grid).pooler_output
    features.float().square().mean().backward()
    wait()
    return time.perf_counter() - start, features.detach().float()


def measure(
    device: str, side: int, images: int, layers: int, repeats: int
) -> dict[str, dict[str, float]]:
    """Milliseconds, ratio to the loop, largest and mean distance of features from the loop's, by way.

    Ways take turns, so that other work on the machine meets them alike; each one's first turn does not count.
    """
    tower = build_tower(layers, device)
    patches = side // 28 * 2
    grid = torch.tensor([(1, patches, patches)] * images, device=device)
    width = tower.patch_embed.proj.weight[0].numel()
    pixels = torch.randn(images * patches**2, width, device=device)
    ways = {way: how for way, how in WAYS.items() if device == "cuda" or not how[1]}
    took: dict[str, list[float]] = {way: [] for way in ways}
    features = {}
    for _ in range(repeats + 1):
        for way, (name, by_kernel) in ways.items():
            with attending(tower, name, by_kernel):
                seconds, features[way] = one_pass(tower, pixels, grid)
            took[way].append(seconds)
    middle = {way: statistics.median(seconds[1:]) for way, seconds in took.items()}
    found = {}
    for way in ways:
        apart = (features[way] - features[LOOP]).abs()
        found[way] = {
            "ms": 1000 * middle[way],
            "ratio": middle[way] / middle[LOOP],
            "largest_difference": float(apart.max()),
            "mean_difference": float(apart.mean()),
            "mean_feature": float(features[LOOP].abs().mean()),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    found = measure(asked.device, asked.side, asked.images, asked.layers, asked.repeats)
    print(f"{asked.images} images of {asked.side}², {asked.layers} layers, {asked.device}")
    for way, told in found.items():
        numbers = f"{told['ms']:9.1f} ms  {told['ratio']:5.2f}"
        print(f"{way:<36} {numbers}  largest difference {told['largest_difference']:.1e}")


if __name__ == "__main__":
    main()
