"""Completions by OpenAI-compatible servers: many requests in flight over all of them, one completion each.

The model is not loaded here, only its processor. Images go along as PNG at the size at which the model
sees them, so that the server has nothing to resize. A vLLM server gets the ends of a completion and the
tokens never to sample, and returns the tokens of its completions, from which text comes as in the other
engines. Other servers are asked in OpenAI's terms only, and their text and count of tokens are taken as they
are.
"""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgg.chat_api.client import ChatClient, ChatResponse, RetryableError
from sgg.chat_api.pool import Pool, Server
from sgg.chat_api.served_model import served_model
from sgg.errors import SggError
from sgg.inference.generate import Batch, Completion, Key, Request, Sampling, completion_of, end_ids
from sgg.inference.requests import (
    completion_seed,
    prompt_ids,
    prompt_text,
    resized,
    stop_and_forbidden,
)
from sgg.models.load import declared_ends, full_weights
from sgg.runs.sweep import resume_command
from sgg.text.prompt import Messages

if TYPE_CHECKING:
    from PIL.Image import Image

TRIES = 5
"""How often one completion is asked for, on whichever servers."""


@dataclass(frozen=True)
class ServerOptions:
    """Where the servers are and how they are asked."""

    urls: list[str]
    model_path: str
    """What the run says its model is."""
    in_flight: int
    """Requests at once, over all servers."""
    request_timeout_s: float
    """Longest wait for one request, seconds."""
    server_model: str | None = None
    """The name that the servers know the model by; None for the only one there is."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    signs: bool = False
    """Whether requests and responses are signed with the key, which is then not sent: `sgg serve`."""


class ServerEngine:
    """Chat completions, asked for as responses come in."""

    batch_size = 1

    def __init__(
        self, access: ServerOptions, folder: Path, processor: Any, sampling: Sampling, run_dir: Path
    ) -> None:
        self._access, self._processor, self._sampling = access, processor, sampling
        self._run_dir = run_dir
        self._ends = end_ids(declared_ends(full_weights(folder)), processor.tokenizer)

    def completions(self, batches: Iterator[Batch]) -> Iterator[tuple[Key, Completion]]:
        """See `sgg.inference.generate.Engine`; in the order in which they end.

        Raises:
            SggError: a server refuses, serves another model, or none is left.

        """
        waiting = ((r, key) for b in batches for r in b.requests for key in sorted(b.missing))
        flying: dict[asyncio.Task[Completion], Key] = {}
        with asyncio.Runner() as runner:
            loop, session = runner.get_loop(), Session(self._access, self._run_dir)
            try:
                runner.run(session.find_model())
                while True:
                    for request, key in islice(waiting, self._access.in_flight - len(flying)):
                        flying[loop.create_task(self._complete(session, request, key))] = key
                    if not flying:
                        return
                    done, _ = runner.run(asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED))
                    # completions first: what is there is written before a failure ends the run
                    for task in sorted(done, key=lambda t: t.exception() is not None):
                        yield flying[task], task.result()
                        del flying[task]
            finally:
                runner.run(session.end(list(flying)))

    async def _complete(self, session: Session, request: Request, key: Key) -> Completion:
        """The completion of a request, from whichever server gives it."""
        text = prompt_text(request.chat, self._processor)
        expected = len(prompt_ids(text, request.image, self._processor))
        url = await asyncio.to_thread(_data_url, request.image, self._processor)
        body = {"model": session.model, **self._body(request.chat, url, key)}
        for _ in range(TRIES):
            server = await session.pool.acquire()
            sent_at = time.monotonic()
            asked = body | self._for_vllm() if server.is_vllm else body
            try:
                response = await session.caller.complete(
                    server.url, asked, self._access.request_timeout_s
                )
                completion = self._completion(response)
            except RetryableError as fault:
                session.pool.failed(server, fault, sent_at)
                last = f"{server.url}: {fault}"
            except SggError as error:
                raise SggError(
                    f"{key[0]}: {error} Once that is mended, resume with: {resume_command(self._run_dir)}"
                ) from error
            else:
                session.pool.succeeded(server)
                self._check_prompt(server, request, response, expected)
                return completion
        raise SggError(
            f"{key[0]}: {TRIES} tries gave no completion; last error: {last}. "
            f"Resume with: {resume_command(self._run_dir)}"
        )

    def _body(self, chat: Messages, url: str, key: Key) -> dict[str, Any]:
        """What any OpenAI-compatible server understands."""
        sampling = self._sampling
        limit = {"top_k": sampling.top_k} if sampling.top_k > 0 else {}
        return {
            "messages": [turn | {"content": _with(url, turn["content"])} for turn in chat],
            "n": 1,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": completion_seed(sampling.seed, key),
            **limit,
        }

    def _for_vllm(self) -> dict[str, Any]:
        """What makes a vLLM server, however it was started, generate as vLLM does in this process."""
        return {
            **stop_and_forbidden(self._ends, self._processor),
            # against a checkpoint's own generation settings
            "top_k": self._sampling.top_k,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "return_token_ids": True,
        }

    def _completion(self, response: ChatResponse) -> Completion:
        """Raises RetryableError for an incomplete one: a server that ends breaks off what it generates."""
        choice = response.choices[0]
        if choice.finish_reason not in ("stop", "length"):
            raise RetryableError(f"a completion that ended by {choice.finish_reason!r}")
        if choice.token_ids is not None:
            return completion_of(choice.token_ids, self._ends, self._processor.tokenizer)
        text = choice.message.content
        if text is None:
            raise RetryableError("a completion without content")
        return Completion(text, response.usage.completion_tokens, choice.finish_reason == "length")

    def _check_prompt(
        self, server: Server, request: Request, response: ChatResponse, expected: int
    ) -> None:
        """Raise if vLLM saw another prompt: images resized by other limits, or another chat template."""
        seen = response.usage.prompt_tokens
        if server.is_vllm and seen != expected:
            raise SggError(
                f"{request.image_id}: wrong model served: {server.url} saw a prompt of {seen} tokens where "
                f"model.path={self._access.model_path} and this run's pixel limits make {expected}. "
                "Start it by `sgg serve` with this run's model and stage."
            )


class Session:
    """The connections of one round of completions."""

    def __init__(self, access: ServerOptions, run_dir: Path) -> None:
        self.caller, self.pool = (
            ChatClient(access.api_key_env, access.signs),
            Pool(access.urls, resume_command(run_dir)),
        )
        self.model = ""
        self._access = access

    async def find_model(self) -> None:
        """Learn what the servers serve; see `served_model`."""
        access = self._access
        wanted, path, limit_s = access.server_model, access.model_path, access.request_timeout_s
        self.model = await served_model(self.caller, self.pool, wanted, path, limit_s)

    async def end(self, tasks: list[asyncio.Task[Completion]]) -> None:
        """Give up requests that are in flight and close the connections."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.caller.close()


def _data_url(image: Image, processor: Any) -> str:
    """The image at the size at which the model sees it, without loss."""
    file = io.BytesIO()
    resized(image, processor).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _with(url: str, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a message as OpenAI writes them, in the same order."""
    image = {"type": "image_url", "image_url": {"url": url}}
    return [image if part["type"] == "image" else part for part in parts]
