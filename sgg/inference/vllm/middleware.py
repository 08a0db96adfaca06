"""What a vLLM server of ours responds to: a list of endpoints for each mode, and one key for all.

vLLM's own key guards some of its endpoints. Others generate without it, or replace weights.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from sgg.config.hardware import SERVER_KEY_VARIABLE

App = Callable[..., Awaitable[None]]


class Access:
    """ASGI middleware, named to vLLM by the import path of a subclass; the key is in the environment."""

    endpoints: ClassVar[frozenset[str]]
    """What is served to those who show the key, or to all where there is none."""
    open_endpoints: ClassVar[frozenset[str]]
    """What is served to everybody."""

    def __init__(self, app: App) -> None:
        key = os.environ.get(SERVER_KEY_VARIABLE)
        self._app = app
        self._expected = f"Bearer {key}".encode() if key else None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on, or respond with 404 or 401; a websocket is closed."""
        if scope["type"] == "lifespan" or scope["path"] in self.open_endpoints:
            await self._app(scope, receive, send)
        elif scope["path"] not in self.endpoints:
            await _refuse(scope, send, 404, b"This server does not serve that.\n")
        elif not self._shows_key(scope):
            await _refuse(scope, send, 401, b"This server asks for its key.\n")
        else:
            await self._app(scope, receive, send)

    def _shows_key(self, scope: dict[str, Any]) -> bool:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return self._expected is None or hmac.compare_digest(shown, self._expected)


class EvaluationAccess(Access):
    """Chat completions."""

    endpoints = frozenset({"/v1/models", "/v1/chat/completions"})
    open_endpoints = frozenset({"/health", "/metrics"})


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


async def _refuse(scope: dict[str, Any], send: Any, status: int, body: bytes) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})
