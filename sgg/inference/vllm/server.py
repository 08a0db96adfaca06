"""vLLM's own server for a run's model, in this process, in one of two modes.

Input: a config; the model's folder is written here, with the run's pixels and precision. Output: responses
to requests, until a signal ends it. Of the checkpoint's generation settings none is kept; ends of a
completion and tokens never sampled come with each request. Images come inside requests: the server fetches
nothing. Only processes that import sgg can import torchvision beside a CPU build of torch, so vLLM's own
command line is not used.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import torch

from sgg.compat import torchvision as torchvision_operators
from sgg.compat.vllm_cpu import EXTENSION
from sgg.compat.vllm_server import end_by_signals, run_server
from sgg.config.hardware import SERVER_ADDRESSES_VARIABLE
from sgg.config.schema import Config
from sgg.inference.vllm.middleware import EvaluationAccess, RolloutAccess
from sgg.inference.vllm.setup import register_model, server_arguments, set_environment
from sgg.models.open import Use, open_model
from sgg.models.vllm_folder import longest_context


class Mode(Enum):
    """What a server is for."""

    evaluation = "evaluation"
    """Chat completions, for as long as somebody wants them: `sgg serve`."""
    rollout = "rollout"
    """GRPO's completions with log-probabilities, by weights that the trainer pushes."""


def serve(
    config: Config,
    mode: Mode,
    name: str,
    folder: Path,
    host: str,
    port: int,
    announced: Sequence[str] = (),
) -> None:
    """Serve requests until SIGTERM or SIGINT; the key that they must have is in the environment.

    Args:
        config: the run's.
        mode: decides what is served, and in which precision.
        name: by which clients know the model.
        folder: is made, with the model's files as vLLM takes them.
        host: address to listen on.
        port: of it.
        announced: further HOST:PORT by which clients reach this server.

    Raises:
        SggError: the model cannot be opened.

    """
    end_by_signals()
    set_environment(config.hardware.gpu)
    os.environ[SERVER_ADDRESSES_VARIABLE] = ",".join(announced)
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # as vLLM's command line does
    if mode is Mode.rollout:
        # the endpoints through which trainers push weights stand behind vLLM's development mode
        os.environ |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_CONFIGURE_LOGGING": "1"}
    model = open_model(config, Use.generate if mode is Mode.evaluation else Use.rollout)
    model.write_for_vllm(folder)
    import uvloop
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    register_model(folder)
    # the engine's process imports what stands as main, but never a package's __main__, so not sgg
    sys.modules["__main__"] = sys.modules[torchvision_operators.__name__]
    words = arguments(config, mode, name, folder, model.dtype, host, port)
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    validate_parsed_serve_args(parsed)
    uvloop.run(run_server(parsed))


def arguments(
    config: Config, mode: Mode, name: str, folder: Path, dtype: torch.dtype, host: str, port: int
) -> list[str]:
    """The server's arguments, vLLM's own; the key is not among them. See `serve`."""
    hardware = config.hardware
    access = EvaluationAccess if mode is Mode.evaluation else RolloutAccess
    of_mode = _of_evaluation(config, folder) if mode is Mode.evaluation else _of_rollout(config)
    options = {
        "model": str(folder),
        "served-model-name": name,
        "host": host,
        "port": str(port),
        "tensor-parallel-size": str(hardware.rollout.tensor_parallel),
        "seed": str(config.seed),
        # a name that no host has: images come inside requests
        "allowed-media-domains": "none.invalid",
        "allowed-origins": "[]",  # vLLM would let every page of a browser ask
        "middleware": f"{access.__module__}.{access.__name__}",
        **of_mode,
    }
    flags = ["--disable-uvicorn-access-log"]
    if mode is Mode.rollout:
        flags.append("--enable-scale-out")  # the endpoints that take token ids with images
    words = [word for option, value in options.items() for word in (f"--{option}", value)]
    return [*words, *flags, *server_arguments(dtype, hardware.gpu)]


def _of_evaluation(config: Config, folder: Path) -> dict[str, str]:
    generate = config.generate
    return {
        "max-model-len": str(longest_context(folder, config.hardware.rollout.max_length)),
        "max-num-seqs": str(generate.batch_size),
        "gpu-memory-utilization": str(generate.gpu_memory_utilization),
    }


def _of_rollout(config: Config) -> dict[str, str]:
    """Beyond memory and length: what TRL's trainers ask of a server, as `trl vllm-serve` starts it."""
    rollout = config.hardware.rollout
    # TRL asks for NCCL to push weights; a CPU has none
    nccl = {"weight-transfer-config": json.dumps({"backend": "nccl"})}
    return {
        "max-model-len": str(rollout.max_length),
        "gpu-memory-utilization": str(rollout.share),
        "logprobs-mode": "processed_logprobs",
        "max-logprobs": "-1",
        **(nccl if config.hardware.gpu else {"worker-extension-cls": EXTENSION}),
    }
