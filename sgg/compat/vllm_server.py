"""vLLM's API server, so that a signal ends it while its engine loads, too.

vLLM's own handler of SIGTERM raises KeyboardInterrupt, which its wait for the engine takes for its own end
(`zmq_socket_ctx`); a longer wait follows, in which nobody tells the engine to end, of 600 s.
"""

from __future__ import annotations

import argparse
import signal
from types import FrameType


def end_by_signals() -> None:
    """From now on SIGTERM and SIGINT end this process as `sys.exit` does, with 128 and their number.

    Once it serves, vLLM's own handlers take their place.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


async def run_server(parsed: argparse.Namespace) -> None:
    """Serve as vLLM's function of this name does, without its handler of SIGTERM."""
    from vllm.entrypoints.launchers.api_server.entry import run_server_worker
    from vllm.entrypoints.launchers.launcher import setup_server
    from vllm.utils.system_utils import decorate_logs

    decorate_logs("APIServer", skip_if_decorated=True)
    listen_address, listening = setup_server(parsed, reuse_port=False)
    await run_server_worker(listen_address, listening, parsed)
