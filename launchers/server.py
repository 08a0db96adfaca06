"""One rollout server: vLLM's own, with the settings that TRL's trainers expect, for a frozen config's model.

`python -m launchers.server RUN_DIR/config.yaml --host HOST --port PORT --gpus N`, started by the node's
supervisor. It listens on the address that the plan gave it and nowhere else: loopback on one machine, the
node's own name in a cluster; who talks to it shows the run's key. Its name tells this start from another.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from sgg.cli import guarded
from sgg.config import Config, thaw
from sgg.hardware import KEY_VARIABLE


def command(config: Config, folder: Path, host: str, port: int, gpus: int) -> list[str]:
    """The words for vLLM's server: as many copies of the model as the GPUs hold, one where there are none."""
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    from sgg.rollout.cpu import EXTENSION
    from sgg.rollout.settings import run_mark
    from sgg.train.rollouts import rollout_dtype

    rollout, gpu = config.hardware.rollout, config.hardware.gpu
    script = ScriptArguments(
        model=str(folder),
        tensor_parallel_size=rollout.tensor_parallel,
        data_parallel_size=max(1, gpus // rollout.tensor_parallel),
        host=host,
        port=port,
        gpu_memory_utilization=rollout.memory_share,
        max_model_len=rollout.max_length,
        # "auto" would take the checkpoint's: answers are to come from what the trainer computes with
        dtype=str(rollout_dtype(config)).removeprefix("torch."),
        enable_prefix_caching=True,
        enforce_eager=not gpu,
    )
    line = build_command(script)
    words = ["--model", *line[line.index("serve") + 1 :]]
    if not gpu:  # the way to push weights that TRL asks for is NCCL's
        at = words.index("--weight-transfer-config")
        words[at : at + 2] = ["--worker-extension-cls", EXTENSION, "--no-enable-chunked-prefill"]
    name = f"{run_mark(os.environ[KEY_VARIABLE])}-{time.time_ns():x}"
    return [
        *words,
        *("--served-model-name", name),
        *("--middleware", "sgg.rollout.door.Door"),
        *("--limit-mm-per-prompt", json.dumps({"image": 1, "video": 0})),
        *("--generation-config", "vllm"),
    ]


def _serve(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frozen", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    asked = parser.parse_args(words)
    config = thaw(asked.frozen)
    from sgg.vllm_setup import register_model, set_environment

    set_environment(config.hardware.gpu)
    # the endpoints through which trainers push weights stand behind vLLM's development mode
    os.environ |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_CONFIGURE_LOGGING": "1"}
    with tempfile.TemporaryDirectory(prefix="sgg-server-") as folder:
        _write_model(config, Path(folder) / "model")
        register_model(Path(folder) / "model")
        sys.argv[1:] = command(config, Path(folder) / "model", asked.host, asked.port, asked.gpus)
        from vllm.entrypoints.launchers.api_server.entry import main

        main()


def _write_model(config: Config, folder: Path) -> None:
    """The start weights as vLLM takes them."""
    from sgg.model import load_processor
    from sgg.spec import pixel_budget
    from sgg.train.rollouts import rollout_dtype
    from sgg.vllm_model import write_for_vllm
    from sgg.weights import locate

    start = locate(config.model.path, config.model.revision)
    processor = load_processor(start, *pixel_budget(config))
    write_for_vllm(config.model, start, processor, rollout_dtype(config), config.seed, folder)


if __name__ == "__main__":
    sys.exit(guarded(lambda: _serve(sys.argv[1:])))
