"""One rollout server: vLLM's own, with the settings that TRL's trainers expect, for a frozen config's model.

`python -m launchers.server RUN_DIR/config.yaml --host HOST --port PORT --gpus N`, started by the node's
supervisor. It listens on the address that the plan gave it and nowhere else: loopback on one machine, the
node's own name in a cluster.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sgg.cli import guarded
from sgg.config import Config, thaw
from sgg.hardware import Precision
from sgg.weights import locate

_MEMORY_SHARE = 0.9
"""Of GPUs that do nothing else."""


def command(config: Config, host: str, port: int, gpus: int) -> list[str]:
    """The server's command line: as many copies of the model as the GPUs hold."""
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    rollout = config.hardware.rollout
    script = ScriptArguments(
        model=str(locate(config.model.path, config.model.revision)),
        tensor_parallel_size=rollout.tensor_parallel,
        data_parallel_size=gpus // rollout.tensor_parallel,
        host=host,
        port=port,
        gpu_memory_utilization=_MEMORY_SHARE,
        max_model_len=rollout.max_length,
        # "auto" would take the checkpoint's: answers are to come from what the trainer computes with
        dtype="bfloat16" if config.hardware.precision is Precision.bf16 else "float32",
    )
    return build_command(script)


def _serve(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frozen", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    asked = parser.parse_args(words)
    line = command(thaw(asked.frozen), asked.host, asked.port, asked.gpus)
    # the endpoints through which trainers push weights stand behind vLLM's development mode
    os.execve(line[0], line, {**os.environ, "VLLM_SERVER_DEV_MODE": "1"})


if __name__ == "__main__":
    sys.exit(guarded(lambda: _serve(sys.argv[1:])))
