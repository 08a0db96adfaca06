"""Message authentication codes between our clients and our servers, made with the key that both have.

A request carries a code of its method, target, body, time, nonce, and of the address and the start of the
server that it is for; the key itself is never sent. The response carries a code of the request's code, the
server's start, the status and the body. So a process that has taken a server's port can neither respond for
it, nor pass a request on to another server with the same key, nor repeat it to a later start of this one.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Self

SCHEME = "SGG-HMAC-SHA256"
"""Of a request's Authorization header."""
RESPONSE_HEADER = "SGG-HMAC-SHA256"
"""With the server's start and a response's code."""
UNKNOWN_START = "0" * 32
"""What a client says that has not yet been told the server's start."""
WINDOW_S = 300
"""How far the clocks of client and server may be apart, seconds; a server remembers nonces until then."""

_FIELD = rb"(\S+) ([0-9a-f]{32}) (\d{1,12}) ([0-9a-f]{64}) ([0-9a-f]{64})"
_HEADER = re.compile(SCHEME.encode() + rb" " + _FIELD + rb" ([0-9a-f]{64})")


@dataclass(frozen=True)
class SignedRequest:
    """What a request's code covers."""

    method: str
    target: str
    """Path and query."""
    address: str
    """HOST:PORT as the client dialled it."""
    start: str
    """Which start of the server it is for: 16 random bytes that the server has drawn then, hexadecimal."""
    time_s: int
    """By the client's clock, since the epoch."""
    nonce: str
    """32 random bytes, hexadecimal."""
    body_sha256: str

    @classmethod
    def new(cls, method: str, target: str, address: str, start: str, body: bytes) -> Self:
        """A request of now."""
        now, nonce = int(time.time()), secrets.token_hex(32)
        return cls(method, target, address, start, now, nonce, hashlib.sha256(body).hexdigest())

    def code(self, key: str) -> str:
        """The request's code, hexadecimal."""
        sent = (self.address, self.start, str(self.time_s), self.nonce, self.body_sha256)
        return _code(key, "request", self.method, self.target, *sent)

    def header(self, key: str) -> str:
        """The value of the Authorization header."""
        fields = f"{self.address} {self.start} {self.time_s} {self.nonce} {self.body_sha256}"
        return f"{SCHEME} {fields} {self.code(key)}"

    def response_header(self, key: str, start: str, status: int, body: bytes) -> str:
        """The value of `RESPONSE_HEADER` in the response to this request by the server of that start."""
        digest = hashlib.sha256(body).hexdigest()
        return f"{start} {_code(key, 'response', self.code(key), start, str(status), digest)}"

    def responding_start(self, key: str, header: str, status: int, body: bytes) -> str | None:
        """The start of the server that has sent a response with this header; None if it has another key."""
        start = header.partition(" ")[0]
        right = self.response_header(key, start, status, body)
        return start if hmac.compare_digest(header.encode(), right.encode()) else None


class Verifier:
    """A server's side: which requests were made with its key, now, and for the first time."""

    def __init__(self, key: str) -> None:
        self.start = secrets.token_hex(16)
        self._key = key
        self._nonces: set[str] = set()
        self._expiring: list[tuple[float, str]] = []

    def signed(self, method: str, target: str, header: bytes) -> SignedRequest | None:
        """The request that an Authorization header was made for with this key; None if it was not."""
        match = _HEADER.fullmatch(header)
        if match is None:
            return None
        address, start, at, nonce, digest, shown = (p.decode("latin-1") for p in match.groups())
        request = SignedRequest(method, target, address, start, int(at), nonce, digest)
        right = request.code(self._key)
        return request if hmac.compare_digest(shown.encode(), right.encode()) else None

    def fault(self, request: SignedRequest) -> str | None:
        """Why a request that `signed` gave is not served; None, once, if it is."""
        now = time.time()
        while self._expiring and self._expiring[0][0] < now:
            self._nonces.discard(heapq.heappop(self._expiring)[1])
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


def _code(key: str, *fields: str) -> str:
    """HMAC-SHA256 of the fields, in a form from which they can be told apart."""
    return hmac.new(key.encode(), json.dumps(fields).encode(), hashlib.sha256).hexdigest()
