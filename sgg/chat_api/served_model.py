"""What the servers serve, looked at before the first request: one model, the same everywhere."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from sgg.chat_api.client import ChatClient, Model, RequestTimeout, RetryableError
from sgg.chat_api.pool import PAUSES_S, Pool, Server
from sgg.errors import SggError

LISTING_LIMIT_S = 30.0
"""How long a server may take to say what it serves, seconds; or a request's limit, if that is less."""

_log = logging.getLogger(__name__)


async def served_model(
    caller: ChatClient, pool: Pool, wanted: str | None, model_path: str, limit_s: float
) -> str:
    """The name by which the servers serve the run's model; those that do not respond are left out.

    Args:
        wanted: the name that the config gives; None for the only one there is.
        model_path: what the run says its model is; a server that says otherwise is logged.
        limit_s: longest wait for a request, seconds.

    Raises:
        SggError: no server responds, or they serve another model, several, or different ones.

    """
    limit_s = min(limit_s, LISTING_LIMIT_S)
    await asyncio.gather(*(_look(caller, pool, server, limit_s) for server in pool.servers))
    names = {}
    for server in pool.live():
        model = _chosen(server, wanted)
        names[server.url] = model.id
        server.is_vllm = model.owned_by == "vllm"
        if server.is_vllm and not _is_same(model, model_path):
            _log.warning(
                "%s serves %s (root %s), and model.path=%s: is it the same model?",
                *(server.url, model.id, model.root, model_path),
            )
    if len(set(names.values())) > 1:
        listed = ", ".join(f"{url} serves {name}" for url, name in names.items())
        raise SggError(f"generate.servers: wrong model served: {listed}. A run is of one model.")
    return next(iter(names.values()))


async def _look(caller: ChatClient, pool: Pool, server: Server, limit_s: float) -> None:
    for pause in (*PAUSES_S, None):
        try:
            server.models = await caller.models(server.url, limit_s)
            return
        except RetryableError as fault:
            if pause is None or isinstance(fault, RequestTimeout):
                pool.leave_out(server, fault)
                return
            await asyncio.sleep(pause)


def _chosen(server: Server, wanted: str | None) -> Model:
    """The model that is asked for among those that a server lists."""
    models = {model.id: model for model in server.models}
    listed = ", ".join(models) or "nothing"
    if wanted is not None and wanted not in models:
        raise SggError(
            f"generate.server_model={wanted}: wrong model served: {server.url} serves {listed}."
        )
    if wanted is None and len(models) != 1:
        raise SggError(f"{server.url} serves {listed}: say which by generate.server_model=NAME.")
    return models[wanted] if wanted is not None else server.models[0]


def _is_same(model: Model, path: str) -> bool:
    """Whether one of the names under which vLLM knows a model is the run's."""
    here = Path(path).expanduser().resolve()
    known = [name for name in (model.id, model.root) if name is not None]
    return any(name == path or Path(name).expanduser().resolve() == here for name in known)
