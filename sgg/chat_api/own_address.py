"""Whether the address that a request was signed for is that of the server which it has reached.

Names are looked up in threads: a name service that does not respond must not stop a server's event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import time
from collections.abc import Iterable

RETRY_S = 30.0
"""How long a name that the name service does not know counts as unknown, seconds."""


class LookupFailed(Exception):
    """The name service has not said whether there is such a name: asked again, it may."""


class OwnAddresses:
    """The addresses of one server."""

    def __init__(self, announced: Iterable[str] = ()) -> None:
        """Look up nothing yet.

        Args:
            announced: HOST:PORT that lead to this server in a way that it cannot see.

        """
        self._announced = frozenset(address.lower() for address in announced)
        # only who has the key adds names, so they are few
        self._lookups: dict[str, asyncio.Task[frozenset[str]]] = {}
        self._retry_at: dict[str, float] = {}

    async def has(self, address: str, ip: str, port: int) -> bool:
        """Whether an address leads here.

        Args:
            address: HOST:PORT as a client dialled it.
            ip: at which the connection has arrived.
            port: of it.

        Raises:
            LookupFailed: its name cannot be looked up now.

        """
        if address.lower() in self._announced:
            return True
        host, _, asked = address.rpartition(":")
        if asked != str(port):
            return False
        found = await self._resolved(host)
        if _without_mapping(ip) in found:
            return True
        # a machine's own name may lead to loopback here and elsewhere to its address: /etc/hosts of Debian
        is_loopback = bool(found) and all(ipaddress.ip_address(each).is_loopback for each in found)
        return is_loopback and _is_own_name(host)

    async def _resolved(self, host: str) -> frozenset[str]:
        """IP addresses of a host, none if it has none here; asked for at the same time, looked up once.

        Raises:
            LookupFailed: the name service is at fault.

        """
        lookup = self._lookups.get(host)
        if lookup is None or time.monotonic() >= self._retry_at.get(host, math.inf):
            self._retry_at.pop(host, None)
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host))
        return await asyncio.shield(lookup)  # others wait for it, too

    async def _look_up(self, host: str) -> frozenset[str]:
        try:
            found = await asyncio.to_thread(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            now = time.monotonic()
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                self._retry_at[host] = now
                raise LookupFailed(f"{host} cannot be looked up now: {error.strerror}.") from error
            self._retry_at[host] = now + RETRY_S  # no such name here
            return frozenset()
        return frozenset(_without_mapping(str(entry[4][0])) for entry in found)


def _is_own_name(host: str) -> bool:
    """Whether all labels that both have are those of this machine's name; localhost is every machine's."""
    labels, own = (name.lower().rstrip(".").split(".") for name in (host, socket.gethostname()))
    shared = min(len(labels), len(own))
    return labels[0] != "localhost" and labels[:shared] == own[:shared]


def _without_mapping(ip: str) -> str:
    """An IPv4 address that a socket of both kinds shows as one of IPv6 is the former."""
    parsed = ipaddress.ip_address(ip)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
