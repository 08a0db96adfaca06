"""What every vLLM engine of ours is told, be it in an evaluation, in a training rank or in a server.

Asked for are the pixels, the precision and the ends that transformers has; of the checkpoint's own
generation settings none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from sgg import torchvision_operators
from sgg.boxes import resized_size

if TYPE_CHECKING:
    from PIL.Image import Image


def set_environment(gpu: bool) -> None:
    """What vLLM reads from the environment when it is imported."""
    os.environ |= {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives and dies with this process
        "VLLM_CONFIGURE_LOGGING": "0",  # into the run's log, as everything
    }
    if not gpu:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


def register(architecture: str) -> None:
    """Let vLLM find the model's class without a look at it in a helper process.

    Such a process does not import sgg, and without us cannot import a torchvision that needs the cure.
    """
    from vllm import ModelRegistry

    if torchvision_operators.were_missing():
        found = ModelRegistry.models[architecture].load_model_cls()
        ModelRegistry.register_model(architecture, found)


@contextmanager
def own_threads() -> Iterator[None]:
    """Keep torch.set_num_threads: vLLM's CPU build puts a warning in its place, for the whole process."""
    set_threads = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = set_threads


def engine_arguments(dtype: torch.dtype, gpu: bool, ranks: int) -> dict[str, Any]:
    """Arguments of `vllm.LLM` that do not hang on how much is asked of it."""
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "enable_prefix_caching": True,
        "enforce_eager": not gpu,
        # of a prompt in two parts vLLM 0.31 turns back the answer's generator, which a CPU's cannot
        "enable_chunked_prefill": gpu,
        "generation_config": "vllm",
        # engines beside each other, each the whole model: the way in which TRL colocates
        "distributed_executor_backend": "external_launcher" if ranks > 1 else None,
    }


def fitted(image: Image, image_processor: Any) -> Image:
    """The picture at the size, and by the resampling, that transformers' processor would give it.

    vLLM's own resizing then has nothing left to do.
    """
    from PIL.Image import Resampling

    size = image_processor.size
    wanted = resized_size(*image.size, size["shortest_edge"], size["longest_edge"])
    return image.convert("RGB").resize(wanted, Resampling.BICUBIC)
