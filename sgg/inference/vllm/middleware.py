"""What a vLLM server of ours responds to: a list of endpoints for each mode, and one key for all.

vLLM's own key guards some of its endpoints. Others generate without it, or replace weights. Our own clients
sign their requests with the key and get signed responses (`sgg.chat_api.mac`); others show it as a Bearer
token.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from sgg.chat_api.connection import OTHER_START, signed_target
from sgg.chat_api.mac import RESPONSE_HEADER, SignedRequest, Verifier
from sgg.chat_api.own_address import LookupFailed, OwnAddresses
from sgg.config.hardware import SERVER_ADDRESSES_VARIABLE, SERVER_KEY_VARIABLE

App = Callable[..., Awaitable[None]]


class Access:
    """ASGI middleware, named to vLLM by a subclass's import path; the environment has its settings."""

    endpoints: ClassVar[frozenset[str]]
    """What is served to those who have the key."""
    open_endpoints: ClassVar[frozenset[str]] = frozenset({"/health"})
    """What is served to everybody."""
    needs_key: ClassVar[bool] = True
    """Whether nobody is served `endpoints` where there is no key; else everybody is."""
    misdirected: ClassVar[str]
    """What can be done about a request for an address that is not known to be this server's."""

    def __init__(self, app: App) -> None:
        self._app, self._key = app, os.environ.get(SERVER_KEY_VARIABLE)
        self._verifier = Verifier(self._key) if self._key else None
        self._addresses = OwnAddresses(os.environ.get(SERVER_ADDRESSES_VARIABLE, "").split(","))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on, or respond with 404, 401, 412 or 503; a websocket is closed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        signed = self._signed(scope)
        if self._key and self._verifier and signed is not None:
            send = _Signing(send, self._key, self._verifier.start, signed)
            try:
                misdirected = await self._misdirected(signed, scope)
            except LookupFailed as error:  # clients ask again
                await _respond(scope, send, 503, f"{error}\n")
                return
            fault = misdirected or self._verifier.fault(signed)
            body = b"" if fault else await _body(receive)
            if fault is None and hashlib.sha256(body).hexdigest() != signed.body_sha256:
                fault = "The body is not the one that was signed."
            if fault is not None:
                await _respond(scope, send, 401, f"{fault}\n")
                return
            if scope["path"] not in self.open_endpoints and signed.start != self._verifier.start:
                await _respond(scope, send, OTHER_START, "The server was started again.\n")
                return
            receive = _again(body, receive)
        if scope["path"] in self.open_endpoints:
            await self._app(scope, receive, send)
        elif scope["path"] not in self.endpoints:
            await _respond(scope, send, 404, "This server does not serve that.\n")
        elif signed is None and not self._shows_key(scope):
            await _respond(scope, send, 401, "This server asks for its key.\n")
        else:
            await self._app(scope, receive, send)

    def _signed(self, scope: dict[str, Any]) -> SignedRequest | None:
        if self._verifier is None or scope["type"] != "http":
            return None
        target = signed_target(scope["path"], scope["query_string"])
        return self._verifier.signed(scope["method"], target, _authorization(scope))

    async def _misdirected(self, signed: SignedRequest, scope: dict[str, Any]) -> str | None:
        """What to tell the sender of a request that was signed for another server.

        Raises:
            LookupFailed: the address cannot be looked up now.

        """
        ip, port = scope["server"]
        if await self._addresses.has(signed.address, ip, port):
            return None
        return (
            f"The request is for {signed.address}, and this server is {ip}:{port} of "
            f"{socket.gethostname()}. {self.misdirected.format(signed.address)}"
        )

    def _shows_key(self, scope: dict[str, Any]) -> bool:
        if not self._key:
            return not self.needs_key
        return hmac.compare_digest(_authorization(scope), f"Bearer {self._key}".encode())


class EvaluationAccess(Access):
    """Chat completions; `sgg serve` wants a key where others than this machine reach it."""

    endpoints = frozenset({"/v1/models", "/v1/chat/completions", "/metrics"})
    needs_key = False
    misdirected = (
        "If that address leads here by a published port, a Service, a proxy or a tunnel, start the server "
        "with address={} (docs/generate.md)."
    )


class RolloutAccess(Access):
    """What `sgg.rollout.client` asks: completions with log-probabilities, and new weights."""

    endpoints = frozenset(
        {
            "/v1/models",
            "/server_info",
            "/get_world_size",
            "/v1/chat/completions/render",
            "/inference/v1/generate",
            "/init_weight_transfer_engine",
            "/start_weight_update",
            "/update_weights",
            "/finish_weight_update",
            "/reset_prefix_cache",
            "/reset_encoder_cache",
            "/collective_rpc",  # without a GPU the way in for weights
        }
    )
    misdirected = (
        "Let /etc/hosts or the cluster's DNS say on all nodes which address that name has."
    )


class _Signing:
    """An ASGI `send` that keeps a response until it is whole, and sends it with its code."""

    def __init__(self, send: Any, key: str, start: str, request: SignedRequest) -> None:
        self._send, self._key, self._start, self._request = send, key, start, request
        self._head: dict[str, Any] = {}
        self._body = b""

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        status = self._head["status"]
        shown = self._request.response_header(self._key, self._start, status, self._body)
        header = (RESPONSE_HEADER.lower().encode(), shown.encode())
        headers = [*self._head.get("headers", ()), header]
        await self._send(self._head | {"headers": headers})
        await self._send({"type": "http.response.body", "body": self._body})


def _authorization(scope: dict[str, Any]) -> bytes:
    found: bytes = dict(scope["headers"]).get(b"authorization", b"")
    return found


async def _body(receive: Any) -> bytes:
    """A request's whole body; what arrived, if the client goes away."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Any) -> Any:
    """An ASGI `receive` that gives the body once more, then what follows."""
    waiting = [{"type": "http.request", "body": body}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


async def _respond(scope: dict[str, Any], send: Any, status: int, body: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
