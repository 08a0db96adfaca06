"""One rollout server's process, for a frozen config.

`python -m sgg.rollout.server RUN_DIR/config.yaml server0 HOST:PORT`, started by the node's
supervisor. It listens on the address that the plan gave it and nowhere else: loopback on one machine, the
node's own name in a cluster; requests to it are signed with its key. The model's name distinguishes this
start from others.
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
from sgg.errors import SggError
from sgg.explain.exit_codes import run_and_report
from sgg.runs.folder import served_folder


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
    from sgg.inference.vllm.server import Mode, serve

    this_start = f"{asked.name}-{time.time_ns():x}"
    folder = served_folder(asked.frozen.parent, asked.name)
    serve(config, Mode.rollout, this_start, folder, host, int(port))


def refuse_loopback(host: str, nodes: int) -> None:
    """Raise SggError if the host's own name leads only to itself, where others are to reach it."""
    if nodes > 1 and (address := socket.gethostbyname(host)).startswith("127."):
        raise SggError(
            f"{host} is {address} to itself, so the run's other nodes could not reach "
            "its rollout server. Let /etc/hosts or the cluster's DNS give its address in the network."
        )


if __name__ == "__main__":
    end_with_this_process()
    sys.exit(run_and_report(lambda: _serve(sys.argv[1:])))
