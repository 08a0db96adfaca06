"""One rollout server: vLLM's own, with the settings that TRL's trainers expect, for a frozen config's model.

`python -m sgg.rollout.server RUN_DIR/config.yaml server0 HOST:PORT`, started by the node's
supervisor. It listens on the address that the plan gave it and nowhere else: loopback on one machine, the
node's own name in a cluster; who talks to it shows the run's key. Its name tells this start from another.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path

from sgg.config.derived import node_count
from sgg.config.frozen import read_frozen
from sgg.config.hardware import ROLLOUT_KEY_VARIABLE
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.explain.exit_codes import run_and_report
from sgg.runs.folder import served_folder


def command(config: Config, folder: Path, host: str, port: int) -> list[str]:
    """The words for vLLM's server."""
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    from sgg.compat.vllm_cpu import EXTENSION
    from sgg.inference.vllm.setup import server_words
    from sgg.models.open import Use, weights_dtype
    from sgg.rollout.settings import run_mark

    rollout, gpu = config.hardware.rollout, config.hardware.gpu
    script = ScriptArguments(
        model=str(folder),
        tensor_parallel_size=rollout.tensor_parallel,
        host=host,
        port=port,
        gpu_memory_utilization=rollout.share,
        max_model_len=rollout.max_length,
    )
    line = build_command(script)
    words = ["--model", *line[line.index("serve") + 1 :]]
    if not gpu:  # the way to push weights that TRL asks for is NCCL's
        at = words.index("--weight-transfer-config")
        words[at : at + 2] = ["--worker-extension-cls", EXTENSION]
    name = f"{run_mark(os.environ[ROLLOUT_KEY_VARIABLE])}-{time.time_ns():x}"
    return [
        *words,
        *server_words(weights_dtype(config, Use.rollout), gpu),  # the last word of an option counts
        *("--served-model-name", name),
        *("--middleware", "sgg.rollout.auth.ApiKeyMiddleware"),
    ]


def end_with_this_process() -> None:
    """Have all that this process starts killed when it is gone: vLLM's engine would stay on the GPU."""
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _serve(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frozen", type=Path)
    parser.add_argument("name")
    parser.add_argument("address", help="host:port")
    asked = parser.parse_args(words)
    config = read_frozen(asked.frozen)
    host, _, port = asked.address.rpartition(":")
    refuse_loopback(host, node_count(config))
    from sgg.inference.vllm.setup import register_model, set_environment

    set_environment(config.hardware.gpu)
    # the endpoints through which trainers push weights stand behind vLLM's development mode
    os.environ |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_CONFIGURE_LOGGING": "1"}
    folder = served_folder(asked.frozen.parent, asked.name)
    from sgg.models.open import Use, open_model

    open_model(config, Use.rollout).write_for_vllm(folder)
    register_model(folder)
    sys.argv[1:] = command(config, folder, host, int(port))
    from vllm.entrypoints.launchers.api_server.entry import main

    main()


def refuse_loopback(host: str, nodes: int) -> None:
    """Raise SggError if the host's own name leads to itself alone, where others are to reach it."""
    if nodes > 1 and socket.gethostbyname(host).startswith("127."):
        raise SggError(
            f"{host} is {socket.gethostbyname(host)} to itself, so the run's other nodes could not reach "
            "its rollout server. Let /etc/hosts or the cluster's DNS give its address in the network."
        )


if __name__ == "__main__":
    end_with_this_process()
    sys.exit(run_and_report(lambda: _serve(sys.argv[1:])))
