"""Which server is asked next: the least busy healthy one.

A server that fails rests for a while, longer each time; one that fails again after the last rest, or has
responded to nothing within a request's whole limit, is left out for the rest of the run. A response resets
the count. Failures of requests that were sent before a server's last failure count as the same one: when a
server dies, all that it had in flight fails at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from sgg.chat_api.client import Model, RequestTimeout, RetryableError
from sgg.errors import SggError

PAUSES_S = (1.0, 2.0, 4.0)
"""How long a server rests after its first, second … failure in a row, seconds."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Server:
    """One server as the run sees it; times are those of `time.monotonic`."""

    url: str
    models: list[Model] = field(default_factory=list)
    """What it lists."""
    is_vllm: bool = False
    """Takes vLLM's own parameters."""
    busy: int = 0
    """Requests in flight."""
    failures: int = 0
    """Failures in a row."""
    struck_at: float = -1.0
    responded_at: float = -1.0
    retry_at: float = -1.0
    left_out: bool = False


class Pool:
    """The servers of a run; used by one event loop."""

    def __init__(self, urls: list[str], resume_command: str) -> None:
        self.servers = [Server(url) for url in urls]
        self._resume_command = resume_command
        self._last_fault = "none"

    async def acquire(self) -> Server:
        """The server to ask next, counted as busy until `succeeded` or `failed`; waits while all rest.

        Raises:
            SggError: all servers are left out.

        """
        while True:
            live = self.live()
            now = time.monotonic()
            ready = [server for server in live if server.retry_at <= now]
            if ready:
                chosen = min(ready, key=lambda server: server.busy)
                chosen.busy += 1
                return chosen
            await asyncio.sleep(min(server.retry_at for server in live) - now)

    def live(self) -> list[Server]:
        """Those that are not left out; SggError if there is none."""
        live = [server for server in self.servers if not server.left_out]
        if not live:
            urls = ",".join(server.url for server in self.servers)
            raise SggError(
                f"No server is left of generate.servers=[{urls}]; last error: {self._last_fault}. "
                f"Start them again, then resume with: {self._resume_command}"
            )
        return live

    def succeeded(self, server: Server) -> None:
        """The server has responded: it is well."""
        server.busy -= 1
        server.failures, server.retry_at = 0, -1.0
        server.responded_at = time.monotonic()

    def failed(self, server: Server, fault: RetryableError, sent_at: float) -> None:
        """A request that was sent at that time has failed."""
        server.busy -= 1
        hangs = isinstance(fault, RequestTimeout) and server.responded_at < sent_at
        if server.left_out or (sent_at <= server.struck_at and not hangs):
            return
        server.failures += 1
        server.struck_at = time.monotonic()
        if hangs or server.failures > len(PAUSES_S):
            self.leave_out(server, fault)
        else:
            pause = PAUSES_S[server.failures - 1]
            server.retry_at = server.struck_at + pause
            self._last_fault = f"{server.url}: {fault}"
            _log.warning("%s: %s; asked again in %g s", server.url, fault, pause)

    def leave_out(self, server: Server, fault: RetryableError) -> None:
        """Ask this server no more."""
        server.left_out = True
        self._last_fault = f"{server.url}: {fault}"
        _log.warning("%s: %s; left out from now on", server.url, fault)
