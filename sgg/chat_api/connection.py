"""What all connections to servers share, in evaluations and in rollouts."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from sgg.chat_api.proof import PROOF_PATH, new_nonce, proves
from sgg.errors import SggError

LIMITS = httpx.Limits(
    # how many at once is the caller's affair
    max_connections=None,
    max_keepalive_connections=None,
    # vLLM closes after 5 s: a request must not meet a connection that is just being closed
    keepalive_expiry=2.0,
)


class BearerKey(httpx.Auth):
    """Shows the key to whoever responds: for servers that are not sgg's."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class ProvenKey(BearerKey):
    """Shows the key to one of sgg's servers, and each time only after it has proved that it has the key.

    A server may die at any time and another process take its port, so a proof is good for one request.
    """

    requires_response_body = True

    def __init__(self, key: str, server: str, hint: str) -> None:
        """Remember them.

        Args:
            key: the server's.
            server: its address, what stands before `/v1`.
            hint: what a user can do about a server that proves nothing.

        """
        super().__init__(key)
        self._server, self._hint = server, hint

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.

        Raises:
            SggError: the server does not prove it.
            httpx.HTTPError: it cannot prove it now.

        """
        nonce = new_nonce()
        url = f"{self._server}{PROOF_PATH}?nonce={nonce}"
        # a request made by hand has no time limits of its own
        response = yield httpx.Request("GET", url, extensions=request.extensions)
        if response.status_code >= 500:
            raise httpx.RemoteProtocolError(f"HTTP {response.status_code} in the place of a proof")
        if response.status_code != 200 or not proves(self._key, nonce, response.content):
            raise SggError(
                f"{self._server} does not prove that it has the key, which was not sent: another process "
                f"listens there, or the server has another key. {self._hint}"
            )
        yield from super().auth_flow(request)


def reason(error: httpx.HTTPError) -> str:
    """Why there was no response, with the kind of error: many have no message of their own."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
