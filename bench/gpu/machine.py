"""What a machine's arithmetic and memory can do at best: other figures are a part of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch


def machine(device: str) -> dict[str, Any]:
    """Versions, the card, TFLOP/s of a bf16 matrix product, TB/s of a copy (bytes read and written)."""
    import transformers
    import trl

    gpu = device != "cpu"
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
        "card": torch.cuda.get_device_name(0) if gpu else "CPU",
    }
    n, repeats = (8192, 20) if gpu else (1024, 2)
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    found["tflops"] = 2 * n**3 / fastest(lambda: a @ b, repeats) / 1e12
    source = torch.empty(2**30 if gpu else 2**24, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found["tb_per_s"] = 2 * source.numel() / fastest(lambda: target.copy_(source), repeats) / 1e12
    return found


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Seconds of one call, many in a row after a few to warm up."""
    for _ in range(3):
        work()
    wait = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    wait()
    return (time.perf_counter() - start) / repeats
