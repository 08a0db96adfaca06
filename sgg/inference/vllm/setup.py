"""What every vLLM engine of ours is given, be it in an evaluation, in a training rank or in a server.

The precision is the trainer's; of the checkpoint's own generation settings none is kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from sgg.compat import torchvision as torchvision_operators

_LONGEST_SOCKET_FOLDER = 70
"""Bytes: Linux takes 107 of a socket's path, and vLLM adds a slash and 36 characters to the folder."""


def set_environment(gpu: bool) -> None:
    """What vLLM reads from the environment when it is imported."""
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_SOCKET_FOLDER:
        os.environ.setdefault("VLLM_RPC_BASE_PATH", "/tmp")
    if not gpu:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


def engine_here(gpu: bool) -> None:
    """`set_environment` for an engine that lives and dies with this process, and logs as it does."""
    set_environment(gpu)
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CONFIGURE_LOGGING": "0"}


def register_model(folder: Path) -> None:
    """Show vLLM the model's class where a helper process of its own could not import torchvision."""
    from vllm import ModelRegistry

    if torchvision_operators.were_missing():
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        name = config.architectures[0]
        ModelRegistry.register_model(name, ModelRegistry.models[name].load_model_cls())


@contextmanager
def own_threads() -> Iterator[None]:
    """Keep torch.set_num_threads: vLLM's CPU build puts a warning in its place, for the whole process."""
    set_threads = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = set_threads


def server_arguments(dtype: torch.dtype, gpu: bool) -> list[str]:
    """`engine_arguments` as the command line of vLLM's server has them."""
    words = []
    for name, value in engine_arguments(dtype, gpu, ranks=1).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            words += [f"--{option}", json.dumps(value) if isinstance(value, dict) else value]
    return words


def engine_arguments(dtype: torch.dtype, gpu: bool, ranks: int) -> dict[str, Any]:
    """Arguments of `vllm.LLM` that do not hang on how much is asked of it."""
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "enable_prefix_caching": True,
        "enforce_eager": not gpu,
        # of a prompt in two parts vLLM 0.31 turns back the completion's generator, which a CPU's cannot
        "enable_chunked_prefill": gpu,
        "generation_config": "vllm",
        # engines beside each other, each the whole model: the way in which TRL colocates
        "distributed_executor_backend": "external_launcher" if ranks > 1 else None,
    }
