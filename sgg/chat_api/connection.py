"""What all connections to servers share, in evaluations and in rollouts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from sgg.chat_api.mac import RESPONSE_HEADER, UNKNOWN_START, SignedRequest
from sgg.errors import SggError

LIMITS = httpx.Limits(
    # how many at once is the caller's affair
    max_connections=None,
    max_keepalive_connections=None,
    # vLLM closes after 5 s: a request must not meet a connection that is just being closed
    keepalive_expiry=2.0,
)
HEADERS = {"Accept-Encoding": "identity"}
"""Of each request: the size of a compressed response shows only when it is unpacked."""
OTHER_START = 412
"""Status by which a server refuses a request for another start of it."""
_HEALTH_PATH = "/health"
_GET_BYTES = 2**20
"""Most of a response to a request without a body, which may go to anybody."""


class BearerKey(httpx.Auth):
    """Shows the key to whoever responds: for servers that are not sgg's."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class SignedRequests(httpx.Auth):
    """Authenticates requests to sgg's servers and their responses by codes; the key is not sent.

    A server may die at any time, and another process take its port or the server be started again. So before
    each request one without a body is sent; its response, with the right code, says the server's start, which
    the request is then signed for.
    """

    requires_request_body = True
    requires_response_body = True

    def __init__(self, key: str, server: str, hint: str) -> None:
        """Remember them.

        Args:
            key: the server's.
            server: its address, what stands before `/v1`.
            hint: what a user can do about a server that has another key.

        """
        self._key, self._server, self._hint = key, server, hint

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.

        Raises:
            SggError: the response is not of a server with the key, or the server refuses the request.
            httpx.HTTPError: the server does not respond now.

        """
        url = f"{self._server}{_HEALTH_PATH}"
        for _ in range(2):  # it may have been started again between the two
            # a request made by hand has no time limits of its own
            health = httpx.Request("GET", url, headers=HEADERS, extensions=request.extensions)
            response, start = yield from self._exchange(health, UNKNOWN_START)
            if response.status_code != 200:
                said = f"HTTP {response.status_code} of {url}: {response.text.strip()}"
                raise httpx.RemoteProtocolError(said.rstrip(": "))
            response, _ = yield from self._exchange(request, start)
            if response.status_code != OTHER_START:
                return
        raise httpx.RemoteProtocolError("the server was started again, twice")

    def _exchange(
        self, request: httpx.Request, start: str
    ) -> Generator[httpx.Request, httpx.Response, tuple[httpx.Response, str]]:
        """Send a request for a start of the server; its response and the start that has sent it."""
        url = request.url
        target = signed_target(url.path, url.query)
        address = f"{url.raw_host.decode()}:{url.port or {'http': 80, 'https': 443}[url.scheme]}"
        signed = SignedRequest.new(request.method, target, address, start, request.content)
        request.headers["Authorization"] = signed.header(self._key)
        response = yield request
        shown, status = response.headers.get(RESPONSE_HEADER, ""), response.status_code
        responding = signed.responding_start(self._key, shown, status, response.content)
        if responding is None and status >= 500:
            raise httpx.RemoteProtocolError(f"HTTP {status} without the code of the server")
        if responding is None:
            raise SggError(
                f"{self._server} does not prove that it has the key, which was not sent, and responds with "
                f"HTTP {status}: another process listens there, or the server "
                f"has another key or is of another version of sgg. {self._hint}"
            )
        if status == 401:
            raise SggError(f"{self._server} refuses the request: {response.text.strip()}")
        return response, responding


def proxy_hint(server: str) -> str:
    """What to tell a user where a proxy of the environment may have responded; empty where none is."""
    url, proxies = httpx.URL(server), getproxies()
    used = next((kind for kind in (url.scheme, "all") if proxies.get(kind)), None)
    if used is None or proxy_bypass(url.host):
        return ""
    return (
        f" Requests to it go through the proxy that {used.upper()}_PROXY names, which may have responded "
        f"itself: put {url.host} into NO_PROXY to ask the server directly."
    )


def signed_target(path: str, query: bytes) -> str:
    """Path and query as client and server sign them."""
    return f"{path}?{query.decode('latin-1')}" if query else path


def hooks(limit: int) -> dict[str, list[Any]]:
    """`event_hooks` of an `httpx.Client` that reads at most so many bytes of a response."""

    def bound(response: httpx.Response) -> None:
        response.stream = _Bounded(response.stream, _limit(response, limit))

    return {"response": [bound]}


def async_hooks(limit: int) -> dict[str, list[Any]]:
    """The same for an `httpx.AsyncClient`."""

    async def bound(response: httpx.Response) -> None:
        response.stream = _AsyncBounded(response.stream, _limit(response, limit))

    return {"response": [bound]}


def _limit(response: httpx.Response, limit: int) -> int:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise httpx.RemoteProtocolError("a compressed response, which was not asked for")
    return limit if response.request.method == "POST" else min(limit, _GET_BYTES)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise httpx.RemoteProtocolError(f"a response of more than {limit} bytes")


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: Any, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            _check_size(size := size + len(chunk), self._limit)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncBounded(httpx.AsyncByteStream):
    def __init__(self, stream: Any, limit: int) -> None:
        self._stream, self._limit = stream, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            _check_size(size := size + len(chunk), self._limit)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def reason(error: httpx.HTTPError) -> str:
    """Why there was no response, with the kind of error: many have no message of their own."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
