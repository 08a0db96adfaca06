"""vLLM's OpenAI server for a model as this run asks it: its pixels, precision, length and nothing else.

Comes in: the folder that `vllm_model` wrote. Runs in this process until it is told to end: only processes
that import sgg can import torchvision beside a CPU build of torch. Of the checkpoint's generation settings
none is kept; ends of an answer and tokens never sampled come with each request. Images come inside
requests: the server fetches nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from sgg.compat import torchvision as torchvision_operators
from sgg.config.schema import Config
from sgg.inference.vllm.setup import register_model, server_words, set_environment
from sgg.models.vllm_folder import longest_context

PATHS = ("/health", "/metrics", "/v1/models", "/v1/chat/completions")
"""What is served. vLLM asks for the key below /v1 alone, and has more doors, some of which generate."""


class EndpointAllowlist:
    """ASGI middleware that closes all doors but `PATHS`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, or answer 404."""
        if scope["type"] == "lifespan" or scope["path"] in PATHS:
            await self._app(scope, receive, send)
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("not served\n", 404)(scope, receive, send)


def arguments(config: Config, folder: Path, dtype: torch.dtype, host: str, port: int) -> list[str]:
    """The server's words, vLLM's own; the key is not among them."""
    generate, hardware = config.generate, config.hardware
    words = {
        "model": str(folder),
        "served-model-name": config.model.path,
        "host": host,
        "port": str(port),
        "max-model-len": str(longest_context(folder, hardware.rollout.max_length)),
        "max-num-seqs": str(generate.batch_size),
        "gpu-memory-utilization": str(generate.gpu_memory_utilization),
        "tensor-parallel-size": str(hardware.rollout.tensor_parallel),
        "seed": str(config.seed),
        # a name that no host has: images come inside requests
        "allowed-media-domains": "none.invalid",
        "middleware": f"{EndpointAllowlist.__module__}.{EndpointAllowlist.__name__}",
    }
    named = [word for name, value in words.items() for word in (f"--{name}", value)]
    return [*named, "--disable-uvicorn-access-log", *server_words(dtype, hardware.gpu)]


def serve(words: list[str], folder: Path, gpu: bool, key: str | None) -> None:
    """Answer requests until SIGTERM or SIGINT.

    Args:
        key: what requests must carry; None for nothing.

    """
    set_environment(gpu)
    if key is not None:
        os.environ["VLLM_API_KEY"] = key
    import uvloop
    from vllm.entrypoints.launchers.api_server.entry import run_server
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    register_model(folder)
    # the engine's process imports what stands as main, but never a package's __main__, so not sgg
    sys.modules["__main__"] = sys.modules[torchvision_operators.__name__]
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    validate_parsed_serve_args(parsed)
    uvloop.run(run_server(parsed))
