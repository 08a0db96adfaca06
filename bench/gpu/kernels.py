"""Which kernels a piece of work spends its time in, by torch's profiler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

MOST = 8


@contextmanager
def profiled(found: dict[str, Any]) -> Iterator[None]:
    """Fill `found` with the block's kernels; on a machine without a GPU with its operators.

    `busy` is the part of the block's seconds in which a kernel ran, `calls` how many were started, and
    `top` the 8 that took longest, each with its share of all kernels' time.
    """
    gpu = torch.cuda.is_available()
    wait = torch.cuda.synchronize if gpu else (lambda: None)
    activity, device = (
        (ProfilerActivity.CUDA, DeviceType.CUDA) if gpu else (ProfilerActivity.CPU, DeviceType.CPU)
    )
    wait()
    with profile(activities=[activity]) as watched:
        start = time.perf_counter()
        yield
        wait()
        seconds = time.perf_counter() - start
    rows = [row for row in watched.key_averages() if row.device_type == device]
    took = {id(r): (r.self_device_time_total if gpu else r.self_cpu_time_total) / 1e6 for r in rows}
    whole = sum(took.values())
    rows.sort(key=lambda row: took[id(row)], reverse=True)
    found.update(
        seconds=seconds,
        busy=whole / seconds,
        calls=sum(row.count for row in rows),
        top=[
            {"name": row.key[:100], "share": took[id(row)] / whole, "calls": row.count}
            for row in rows[:MOST]
        ],
    )
