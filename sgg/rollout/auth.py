"""The key of a rollout server: whoever talks to it, but for its health, has to show it.

vLLM's own key guards the OpenAI endpoints alone, and not those through which weights are replaced.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Any

from sgg.config.hardware import ROLLOUT_KEY_VARIABLE

_OPEN = ("/health",)
App = Callable[..., Awaitable[None]]


class ApiKeyMiddleware:
    """ASGI middleware, named to vLLM by its import path."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._expected = f"Bearer {os.environ[ROLLOUT_KEY_VARIABLE]}".encode()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on, or answer 401; a websocket is closed."""
        if scope["type"] == "lifespan" or scope["path"] in _OPEN or self._knows(scope):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"This server asks for its run's key."})

    def _knows(self, scope: dict[str, Any]) -> bool:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(shown, self._expected)
