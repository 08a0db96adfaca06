"""The trainer's side of rollout servers: TRL's client, with a key, limits, messages, and several servers.

Requests and responses are signed with the server's key. The name of its model says which start
of the server it is: one that died and was started again has the first weights, and must not be taken for the
one that was pushed to.
"""

from __future__ import annotations

import errno
import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import torch
from safetensors.torch import save_file
from trl.generation.vllm_client import VLLMClient

from sgg.chat_api.connection import HEADERS, LIMITS, SignedRequests, hooks, reason
from sgg.compat.trl import keeps_image_features
from sgg.errors import SggError
from sgg.rollout.settings import RolloutSettings
from sgg.rollout.weight_probe import Probe, ProbeResult

_CONNECT_S = 10
_PAUSE_S = 0.5
_AT_ONCE = 64
_MOST_BYTES = 2**30
"""Most of a response; the largest hold an image's features."""
_UNPROVEN = (
    "Start the run again: it takes another port. If its nodes do not see the same ~/.config/sgg/secret, let "
    "XDG_CONFIG_HOME name a folder that they share."
)
_MEMORY = Path("/dev/shm")
NodePlacement = Callable[[dict[str, Any] | None, list[int]], dict[str, Any] | None]
"""Points an image's features at the image tokens of its prompt."""


class ServerFault(Exception):
    """A server is gone, has forgotten its weights, or gives malformed responses; the message names it."""


def _free_from(port: int) -> int:
    """This port, or the first that is free of those that no other server's weights take."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
                return port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        port += _AT_ONCE


class Client(VLLMClient):  # type: ignore[misc]
    """One server."""

    def __init__(self, address: str, key: str, settings: RolloutSettings, group_port: int) -> None:
        # not TRL's constructor: its session is of another library, waits for ever, and repeats requests
        # behind our back. What TRL's methods take of a session, httpx's client has under the same names.
        self.base_url, self.host = address, urlsplit(address).hostname
        self.group_port = group_port
        self.communicator = None
        self._updating_weights = False
        self._settings = settings
        self.session = httpx.Client(
            auth=SignedRequests(key, address, _UNPROVEN),
            timeout=httpx.Timeout(settings.wait_timeout_s, connect=_CONNECT_S),
            limits=LIMITS,
            headers=HEADERS,
            event_hooks=hooks(_MOST_BYTES),
            trust_env=False,  # no proxy and no .netrc between the nodes of a run
        )
        self.model = ""

    def join(self, device: torch.device) -> None:
        """Wait until the server responds, and make ready for weights.

        Raises:
            ServerFault: it does not respond in time.
            SggError: it does not prove that it is this run's.

        """
        deadline, before = time.monotonic() + self._settings.startup_timeout_s, self.model
        while True:
            try:
                with self.as_server_fault():
                    self.model = self._name()
                break
            except ServerFault:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
        if device.type != "cpu" and self.model != before:
            with self.as_server_fault():
                self.close_communicator()  # that of a server that died, whose port may be held yet
                self.group_port = _free_from(self.group_port)
                self.init_communicator(device)

    def check_identity(self) -> None:
        """Raise ServerFault if the server was started again since `join`."""
        with self.as_server_fault():
            name = self._name()
        if name != self.model:
            raise ServerFault(f"{self.base_url} was started again and has the first weights.")

    def _name(self) -> str:
        return str(self._get(f"{self.base_url}/v1/models")["data"][0]["id"])

    @contextmanager
    def as_server_fault(self) -> Iterator[None]:
        """What goes wrong inside is raised as a ServerFault that names the server."""
        try:
            yield
        except (ServerFault, SggError):
            raise
        except httpx.HTTPError as error:
            raise ServerFault(f"{self.base_url} does not respond: {reason(error)}") from error
        except json.JSONDecodeError as error:
            raise ServerFault(f"{self.base_url} gave a response that is no JSON.") from error
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ServerFault(
                f"{self.base_url} gave a malformed response: {type(error).__name__}: {_short(error)}"
            ) from error
        except Exception as error:  # what TRL raises for a status that is not 200
            raise ServerFault(f"{self.base_url}: {_short(error)}") from error

    def push(
        self, metadata: list[tuple[str, str, list[int]]], params: Iterator[tuple[str, torch.Tensor]]
    ) -> None:
        """All weights, and nothing kept of the old ones. `params` is read to its end, come what may.

        Raises:
            ServerFault: the server did not take them.

        """
        if self.communicator is None:  # no NCCL on a CPU: through the machine's memory
            self._push_files(params)
        else:
            with self.as_server_fault():
                self.update_named_params(metadata, params)
        with self.as_server_fault():
            self.reset_prefix_cache()
            if keeps_image_features():
                self._post(f"{self.base_url}/reset_encoder_cache")

    def _push_files(self, params: Iterator[tuple[str, torch.Tensor]]) -> None:
        whole = torch.contiguous_format  # tied or transposed weights have no file format
        tensors = {name: tensor.detach().clone(memory_format=whole) for name, tensor in params}
        place = str(_MEMORY) if _MEMORY.is_dir() else None
        folder = tempfile.mkdtemp(prefix="sgg-weights-", dir=place)
        try:
            file = Path(folder) / "weights.safetensors"
            save_file(tensors, file)
            with self.as_server_fault():
                self._post(
                    f"{self.base_url}/collective_rpc",
                    json={"method": "take_weights", "args": [str(file)]},
                )
        finally:
            shutil.rmtree(folder)

    def _get(self, url: str, **kwargs: Any) -> Any:
        return self._body(self.session.get(url, **kwargs))

    def _post(self, url: str, **kwargs: Any) -> Any:
        return self._body(self.session.post(url, **kwargs))

    def _body(self, response: httpx.Response) -> Any:
        if response.status_code != 200:
            raise RuntimeError(f"status {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None


class Servers:
    """All rollout servers as the one client that TRL's trainer knows; prompts are dealt out in turn."""

    def __init__(self, settings: RolloutSettings, group_port: int) -> None:
        self.clients = [
            Client(address, key, settings, group_port + i)
            for i, (address, key) in enumerate(zip(settings.servers, settings.keys, strict=True))
        ]

    def join(self, device: torch.device) -> None:
        """See `Client.join`."""
        for client in self.clients:
            client.join(device)

    def get_server_info(self) -> dict[str, Any]:
        """TRL's trainer asks how log-probabilities are reported; ours are all started the same way."""
        info: dict[str, Any] = self.clients[0].get_server_info()
        return info

    def completions(
        self,
        prompts: list[list[int]],
        images: list[list[Any] | None],
        place: NodePlacement,
        sampling: list[dict[str, Any]],
    ) -> tuple[list[list[int]], list[list[list[float | None]]]]:
        """Completions and log-probabilities, those of a prompt beside each other.

        Args:
            sampling: of each prompt.

        Raises:
            ServerFault: a server failed; nothing of this call is kept.

        """
        with ThreadPoolExecutor(min(_AT_ONCE, len(prompts))) as pool:
            clients = [self.clients[i % len(self.clients)] for i in range(len(prompts))]
            for client in self.clients:
                client.check_identity()
            done = list(pool.map(partial(_generate, place), clients, prompts, images, sampling))
        return [c for d in done for c in d[0]], [p for d in done for p in d[1]]

    def probe(
        self, probe: Probe, images: list[Any] | None, place: NodePlacement
    ) -> list[ProbeResult]:
        """The probe's result of each server.

        Raises:
            ServerFault: one failed.

        """
        sampling = {"n": 1, "max_tokens": probe.LENGTH, "generation_kwargs": probe.sampling}
        results = []
        for client in self.clients:
            ids, logprobs = _generate(place, client, probe.ids, images, sampling)
            results.append(ProbeResult(ids[0], [float(p[0] or 0.0) for p in logprobs[0]]))
        return results


def _generate(
    place: NodePlacement,
    client: Client,
    prompt: list[int],
    images: list[Any] | None,
    sampling: dict[str, Any],
) -> tuple[list[list[int]], list[list[list[float | None]]]]:
    with client.as_server_fault():
        features = place(client.image_features([images])[0], prompt)
        response = client.generate([prompt], features=[features], **sampling)
        ids, logprobs = response["completion_ids"], response["logprobs"]
        if len(ids) != sampling["n"] or any(
            len(i) != len(p) for i, p in zip(ids, logprobs, strict=True)
        ):
            raise ValueError(f"{sampling['n']} completions were asked for")
        return ids, logprobs


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) < 500 else f"{text[:500]} …"
