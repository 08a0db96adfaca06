"""What a vLLM server of ours responds to: a list of endpoints for each mode, and one key for all.

vLLM's own key guards some of its endpoints. Others generate without it, or replace weights.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from urllib.parse import parse_qs

from sgg.chat_api.proof import PROOF_PATH, is_nonce, proof
from sgg.config.hardware import SERVER_KEY_VARIABLE

App = Callable[..., Awaitable[None]]


class Access:
    """ASGI middleware, named to vLLM by the import path of a subclass; the key is in the environment."""

    endpoints: ClassVar[frozenset[str]]
    """What is served to those who show the key."""
    open_endpoints: ClassVar[frozenset[str]]
    """What is served to everybody."""
    needs_key: ClassVar[bool] = True
    """Whether nobody is served `endpoints` where there is no key; else everybody is."""

    def __init__(self, app: App) -> None:
        self._app, self._key = app, os.environ.get(SERVER_KEY_VARIABLE)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on, prove, or respond with 404 or 401; a websocket is closed."""
        if scope["type"] == "lifespan" or scope["path"] in self.open_endpoints:
            await self._app(scope, receive, send)
        elif scope["path"] == PROOF_PATH and self._key:
            await self._prove(self._key, scope, send)
        elif scope["path"] not in self.endpoints:
            await _respond(scope, send, 404, "This server does not serve that.\n")
        elif not self._shows_key(scope):
            await _respond(scope, send, 401, "This server asks for its key.\n")
        else:
            await self._app(scope, receive, send)

    def _shows_key(self, scope: dict[str, Any]) -> bool:
        if not self._key:
            return not self.needs_key
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(shown, f"Bearer {self._key}".encode())

    async def _prove(self, key: str, scope: dict[str, Any], send: Any) -> None:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("nonce", [""])[0]
        if is_nonce(asked):
            await _respond(scope, send, 200, proof(key, asked))
        else:
            await _respond(scope, send, 400, "Ask with nonce=, 32 bytes in hexadecimal.\n")


class EvaluationAccess(Access):
    """Chat completions; `sgg serve` wants a key where others than this machine reach it."""

    endpoints = frozenset({"/v1/models", "/v1/chat/completions"})
    open_endpoints = frozenset({"/health", "/metrics"})
    needs_key = False


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
    open_endpoints = frozenset({"/health"})


async def _respond(scope: dict[str, Any], send: Any, status: int, body: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
