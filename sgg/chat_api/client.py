"""One exchange with an OpenAI-compatible server: what is sent, what comes back, what may go wrong.

Input: an address and what to ask. Output: a typed response; a `RetryableError` for what may succeed at
another server or later (no connection, 5xx, a malformed response, a timeout); an `SggError` for what would
fail everywhere (4xx). The key is sent as a Bearer header and shown nowhere; to sgg's own servers only codes
made with it are sent (`sgg.chat_api.mac`).
"""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any, TypeVar

import httpx
import msgspec

from sgg.chat_api.connection import (
    HEADERS,
    LIMITS,
    BearerKey,
    SignedRequests,
    async_hooks,
    proxy_hint,
    reason,
)
from sgg.chat_api.mac import unset_key
from sgg.errors import SggError

_MOST_BYTES = 2**26
"""Most of a response."""

_SAID = 400
"""Characters of a server's own message that are shown."""

_LATER = (408, 429)
"""4xx that say: try again."""


class RetryableError(Exception):
    """What went wrong at a server and may go well at another one, or later."""


class RequestTimeout(RetryableError):
    """No response within the limit."""


class Model(msgspec.Struct):
    """A model that a server lists."""

    id: str
    owned_by: str = ""
    root: str | None = None
    """vLLM: the folder or hub id that it was loaded from."""


class Models(msgspec.Struct):
    """What /v1/models says."""

    data: list[Model]


class Message(msgspec.Struct):
    """What the model said."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One completion, with its reason to end."""

    message: Message
    finish_reason: str
    token_ids: list[int] | None = None
    """vLLM, if asked to."""


class Usage(msgspec.Struct):
    """Tokens as the server counts them."""

    prompt_tokens: int
    completion_tokens: int


class ChatResponse(msgspec.Struct):
    """What /v1/chat/completions says."""

    choices: Annotated[list[Choice], msgspec.Meta(min_length=1)]
    usage: Usage


_Said = TypeVar("_Said", Models, ChatResponse)


class ChatClient:
    """Connections to the servers, with the run's key."""

    def __init__(self, api_key_env: str, signs: bool) -> None:
        """Open none yet.

        Args:
            api_key_env: name of the environment variable with the key; it need not be set unless `signs`.
            signs: whether requests and responses are signed with the key, as `sgg serve` does, in place of
                sending it.

        Raises:
            SggError: requests are to be signed, and there is no key.

        """
        self._variable, self._key = api_key_env, os.environ.get(api_key_env)
        self._signs = signs
        if signs and not self._key:  # else whoever listens would get images and be believed
            raise SggError(unset_key(api_key_env))
        # how long they may take is the affair of each exchange
        self._http = httpx.AsyncClient(
            timeout=None, limits=LIMITS, headers=HEADERS, event_hooks=async_hooks(_MOST_BYTES)
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def models(self, server: str, limit_s: float) -> list[Model]:
        """What a server lists; raises as the module says."""
        return (await self._exchange(server, "/v1/models", None, limit_s, Models)).data

    async def complete(self, server: str, body: dict[str, Any], limit_s: float) -> ChatResponse:
        """The response to a chat; raises as the module says."""
        return await self._exchange(server, "/v1/chat/completions", body, limit_s, ChatResponse)

    async def _exchange(
        self,
        server: str,
        path: str,
        body: dict[str, Any] | None,
        limit_s: float,
        kind: type[_Said],
    ) -> _Said:
        url, method = f"{server}{path}", "GET" if body is None else "POST"
        try:
            async with asyncio.timeout(limit_s):
                response = await self._http.request(method, url, json=body, auth=self._auth(server))
        except TimeoutError as error:
            raise RequestTimeout(f"no response within {limit_s:g} s") from error
        except httpx.HTTPError as error:
            raise RetryableError(reason(error)) from error
        self._check_status(url, response)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RetryableError(f"malformed response: {error}: {self._said(response)}") from error

    def _auth(self, server: str) -> httpx.Auth | None:
        if not self._key:
            return None
        if not self._signs:
            return BearerKey(self._key)
        hint = f"Set {self._variable} here to the key that the server was started with."
        return SignedRequests(self._key, server, hint + proxy_hint(server))

    def _check_status(self, url: str, response: httpx.Response) -> None:
        if response.is_success:
            return
        status = f"HTTP {response.status_code}: {self._said(response)}"
        if response.status_code >= 500 or response.status_code in _LATER:
            raise RetryableError(status)
        hint = ""
        if response.status_code in (401, 403):
            is_set = "is set" if self._key else "is not set"
            hint = (
                f" The key is read from the environment variable {self._variable}, which {is_set}."
            )
        elif response.status_code == 404 and url.endswith("/models"):
            hint = (
                " Is it an OpenAI-compatible server? generate.servers wants what stands before /v1."
            )
        raise SggError(f"{url} refuses: {status}{hint}")

    def _said(self, response: httpx.Response) -> str:
        """The server's own words, on one line, cut; a key that it repeats is left out."""
        said = response.text
        if self._key:
            said = said.replace(self._key, "…")
        said = " ".join(said.split())
        return said if len(said) <= _SAID else f"{said[:_SAID]}…"
