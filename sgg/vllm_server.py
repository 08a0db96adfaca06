"""vLLM's OpenAI server for a model as this run asks it: its pixels, precision, length and nothing else.

Comes in: the folder that `vllm_model` wrote. Runs in this process until it is told to end: only processes
that import sgg can import torchvision beside a CPU build of torch. Of the checkpoint's generation settings
none is kept; ends of an answer and tokens never sampled come with each request. Pictures come inside
requests: the server fetches nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from sgg import torchvision_operators
from sgg.config import Config
from sgg.errors import SggError
from sgg.vllm_model import longest_context, register_model, set_environment

KEY_VARIABLE = "SGG_SERVER_KEY"
"""Environment variable with the key that requests must carry; none is asked for where it is not set."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_address(host: str) -> None:
    """Raise SggError for a server that others could reach and use without a key."""
    if host not in LOOPBACK and not os.environ.get(KEY_VARIABLE):
        raise SggError(
            f"host={host} lets others reach the server, and {KEY_VARIABLE} is not set: anybody could use it. "
            f"Set {KEY_VARIABLE} in the environment, here and (as generate.key_variable names it) where "
            "answers are asked for, or leave host out to listen on 127.0.0.1."
        )


def arguments(config: Config, folder: Path, dtype: torch.dtype, host: str, port: int) -> list[str]:
    """vLLM's own words for the server; the key is not among them."""
    generate, hardware = config.generate, config.hardware
    words = {
        "model": str(folder),
        "served-model-name": config.model.path,
        "host": host,
        "port": str(port),
        "dtype": str(dtype).removeprefix("torch."),
        "max-model-len": str(longest_context(folder, hardware.rollout.max_length)),
        "max-num-seqs": str(generate.batch_size),
        "gpu-memory-utilization": str(generate.memory_share),
        "tensor-parallel-size": str(hardware.rollout.tensor_parallel),
        "limit-mm-per-prompt": '{"image": 1, "video": 0}',
        "generation-config": "vllm",
        "seed": str(config.seed),
        # a name that no host has: pictures come inside requests
        "allowed-media-domains": "none.invalid",
    }
    switches = ["--enable-prefix-caching", "--disable-uvicorn-access-log"]
    if not hardware.gpu:
        switches.append("--enforce-eager")
    return [word for name, value in words.items() for word in (f"--{name}", value)] + switches


def serve(words: list[str], folder: Path, gpu: bool) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    set_environment(gpu)
    if key := os.environ.get(KEY_VARIABLE):
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
