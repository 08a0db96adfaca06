"""Message authentication codes between our clients and our servers, made with the key that both have.

A request carries a code of its method, target, body, time, nonce and the address that it is for; the key
itself is never sent. The response carries a code of the request's code, the status and the body. So a
process that has taken a server's port can neither respond for it nor pass a request on to another server with
the same key.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import ipaddress
import json
import re
import secrets
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

SCHEME = "SGG-HMAC-SHA256"
"""Of a request's Authorization header."""
RESPONSE_HEADER = "SGG-HMAC-SHA256"
"""With a response's code."""
WINDOW_S = 300
"""How far the clocks of client and server may be apart, seconds; a server remembers nonces until then."""

_FIELD = rb"(\S+) (\d{1,12}) ([0-9a-f]{64}) ([0-9a-f]{64})"
_HEADER = re.compile(SCHEME.encode() + rb" " + _FIELD + rb" ([0-9a-f]{64})")


@dataclass(frozen=True)
class SignedRequest:
    """What a request's code covers."""

    method: str
    target: str
    """Path and query."""
    address: str
    """HOST:PORT as the client dialled it."""
    time_s: int
    """By the client's clock, since the epoch."""
    nonce: str
    """32 random bytes, hexadecimal."""
    body_sha256: str

    @classmethod
    def new(cls, method: str, target: str, address: str, body: bytes) -> Self:
        """A request of now."""
        now, nonce = int(time.time()), secrets.token_hex(32)
        return cls(method, target, address, now, nonce, hashlib.sha256(body).hexdigest())

    def code(self, key: str) -> str:
        """The request's code, hexadecimal."""
        fields = (self.method, self.target, self.address, str(self.time_s), self.nonce)
        return _code(key, "request", *fields, self.body_sha256)

    def header(self, key: str) -> str:
        """The value of the Authorization header."""
        fields = f"{self.address} {self.time_s} {self.nonce} {self.body_sha256}"
        return f"{SCHEME} {fields} {self.code(key)}"

    def response_code(self, key: str, status: int, body: bytes) -> str:
        """The code of the response to this request, hexadecimal."""
        return _code(key, "response", self.code(key), str(status), hashlib.sha256(body).hexdigest())

    def has_response(self, key: str, shown: str, status: int, body: bytes) -> bool:
        """Whether the code that a response shows is right; takes as long for any wrong one."""
        return hmac.compare_digest(shown.encode(), self.response_code(key, status, body).encode())


class Verifier:
    """A server's side: which requests were made with its key, for it, now, and for the first time."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._nonces: set[str] = set()
        self._expiring: list[tuple[float, str]] = []

    def signed(self, method: str, target: str, header: bytes) -> SignedRequest | None:
        """The request that an Authorization header was made for with this key; None if it was not."""
        match = _HEADER.fullmatch(header)
        if match is None:
            return None
        address, at, nonce, digest, shown = (part.decode("latin-1") for part in match.groups())
        request = SignedRequest(method, target, address, int(at), nonce, digest)
        right = request.code(self._key)
        return request if hmac.compare_digest(shown.encode(), right.encode()) else None

    def fault(self, request: SignedRequest, server: tuple[str, int]) -> str | None:
        """Why a signed request is not served; None, once, if it is.

        Args:
            request: what `signed` gave.
            server: IP address and port at which the connection arrived.

        """
        now = time.time()
        while self._expiring and self._expiring[0][0] < now:
            self._nonces.discard(heapq.heappop(self._expiring)[1])
        if not _is_own(request.address, *server):
            return (
                f"The request is for {request.address}, and this server is {server[0]}:{server[1]} of "
                f"{socket.gethostname()}. Behind a proxy, a tunnel or NAT it takes the key as a Bearer token "
                "only (docs/generate.md)."
            )
        if abs(request.time_s - now) > WINDOW_S:
            return f"The clocks of client and server are {abs(request.time_s - now):.0f} s apart."
        if request.nonce in self._nonces:
            return "The request was made before."
        self._nonces.add(request.nonce)
        heapq.heappush(self._expiring, (request.time_s + WINDOW_S, request.nonce))
        return None


def unset_key(variable: str) -> str:
    """What to tell a user whose requests are to be signed by a key that the environment does not hold."""
    return (
        f"{variable} is not set here, so no request can be signed and no response believed. Export the key "
        "that the server was started with; a server that has none is asked with another "
        "generate.api_key_env."
    )


def _is_own(address: str, ip: str, port: int) -> bool:
    """Whether the address, as a client dialled it, is that of a server at this IP address and port."""
    host, _, asked = address.rpartition(":")
    if asked != str(port):
        return False
    try:
        found = _resolved(host)
    except (OSError, UnicodeError):  # no such name here
        return False
    if _without_mapping(ip) in found:
        return True
    # a machine's own name may lead to loopback here and elsewhere to its address: /etc/hosts of Debian
    return _is_own_name(host) and all(ipaddress.ip_address(each).is_loopback for each in found)


def _is_own_name(host: str) -> bool:
    """Whether all labels that both have are those of this machine's name; localhost is every machine's."""
    labels, own = (name.lower().rstrip(".").split(".") for name in (host, socket.gethostname()))
    shared = min(len(labels), len(own))
    return labels[0] != "localhost" and labels[:shared] == own[:shared]


@lru_cache
def _resolved(host: str) -> frozenset[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return frozenset(_without_mapping(str(entry[4][0])) for entry in found)


def _without_mapping(ip: str) -> str:
    """An IPv4 address that a socket of both kinds shows as one of IPv6 is the former."""
    parsed = ipaddress.ip_address(ip)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _code(key: str, *fields: str) -> str:
    """HMAC-SHA256 of the fields, in a form from which they can be told apart."""
    return hmac.new(key.encode(), json.dumps(fields).encode(), hashlib.sha256).hexdigest()
