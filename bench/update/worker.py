"""One way's process: an update for each line of its standard input."""

from __future__ import annotations

import ctypes
import json
import re
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from gpu.machine import fastest
from trl import GRPOTrainer
from trl.trainer import utils
from update.cases import Case, inputs
from update.flops import flops
from update.models import load

from sgg.config.model import Family

SAMPLE = 65_536
"""Numbers of each gradient that are compared at most."""


def work(told: dict[str, Any]) -> None:
    """Answer each line, a JSON object of a case's numbers and `keep`, by one line.

    Args:
        told: `way`, `folder` (of the config, and where `keep` writes), `family`, `device`, and
            `scores_all`: whether TRL's head takes prompts and padding, too, as it does without a GPU.

    """
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    way, device, folder = told["way"], told["device"], Path(told["folder"])
    if device == "cpu":
        torch.set_num_threads(1)
    if not told["scores_all"]:
        utils._use_triton = lambda device: True
    model = load(way, folder, Family[told["family"]], device)
    parameters = sum(p.numel() for p in model.parameters())
    start = {"parameters": parameters, "head": model.get_output_embeddings().weight.numel()}
    print(json.dumps(start | {"rate": _rate(device)}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        keep = folder / f"{way}.pt" if asked.pop("keep") else None
        case = Case(**asked)
        found = _update(model, case, device, keep)
        counted = flops(model, case, way, scores_all=told["scores_all"])
        print(json.dumps(found | {"flops": counted}), file=out, flush=True)


def _update(model: Any, case: Case, device: str, keep: Path | None) -> dict[str, float]:
    """Log-probabilities, GRPO's loss and its backward, timed.

    Args:
        model: with a way's head.
        case: its numbers of tokens.
        device: of the model.
        keep: file for what is compared.

    """
    taken = inputs(case, model.config, device)
    count = taken["logits_to_keep"]
    mask = taken["attention_mask"][:, -count:]
    advantages = torch.randn(case.group, 1, generator=torch.Generator().manual_seed(1)).to(device)
    passes = GRPOTrainer._get_per_token_logps_and_entropies.__wrapped__  # below TRL's profiler
    trainer = SimpleNamespace(accelerator=SimpleNamespace(autocast=nullcontext))
    model.zero_grad(set_to_none=True)
    memory = _Memory(device)
    wall, processor = time.perf_counter(), time.process_time()
    log_probs, entropies, _ = passes(trainer, model, compute_entropy=True, **taken)
    ratio = (log_probs - log_probs.detach()).exp()
    clipped = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    loss = -(clipped * mask).sum() / mask.sum()
    loss.backward()
    if device == "cuda":
        torch.cuda.synchronize()
    found = {
        "wall": time.perf_counter() - wall,
        "seconds": time.process_time() - processor,
        **memory.peak(),
    }
    if keep is not None:
        gradients = {
            name: p.grad.flatten()[:: -(-p.grad.numel() // SAMPLE)].float().cpu()
            for name, p in model.named_parameters()
            if p.grad is not None
        }
        values = {"log_probs": log_probs * mask, "entropies": entropies * mask}
        values = {name: value.detach().cpu() for name, value in values.items()}
        torch.save(values | {"gradients": gradients}, keep)
    model.zero_grad(set_to_none=True)
    if device == "cuda":
        del log_probs, entropies, ratio, clipped, loss
        torch.cuda.empty_cache()  # the other way's process needs it
    return found


class _Memory:
    """What an update takes, MiB."""

    def __init__(self, device: str) -> None:
        """Begin at what there is now."""
        self._device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated() // 2**20
        else:
            # what earlier updates have freed would hide that this one takes it again
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            self._before = _resident("VmRSS")

    def peak(self) -> dict[str, float]:
        """At most since then: beyond what there was, and in all."""
        at_most = (
            torch.cuda.max_memory_allocated() // 2**20
            if self._device == "cuda"
            else _resident("VmHWM")
        )
        return {"peak_mib": at_most - self._before, "process_mib": at_most}


def _resident(field: str) -> int:
    """A number of this process's status, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) // 1024


def _rate(device: str) -> float:
    """FLOP/s of a matrix product in the dtype of the model; without a GPU by the processor's seconds."""
    n, dtype = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    if device == "cuda":
        return 2 * n**3 / fastest(lambda: a @ b, 20)
    start = time.process_time()
    for _ in range(20):
        a @ b
    return 20 * 2 * n**3 / (time.process_time() - start)
