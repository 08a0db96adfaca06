"""The trainer's side of rollout servers that misbehave: words, and no wait without an end."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import torch
from fake_server import response_header

from sgg.chat_api.mac import SCHEME
from sgg.compat import trl as cures
from sgg.compat.trl import collapsed
from sgg.errors import SggError
from sgg.rollout.client import Client, ServerFault, Servers
from sgg.rollout.settings import RolloutSettings

pytestmark = pytest.mark.slow  # imports TRL
KEY = "key"
NAME = "server0-1"
CPU = torch.device("cpu")


def settings(*servers, **more):
    limits = {"startup_timeout_s": 1, "wait_timeout_s": 1} | more
    return RolloutSettings(
        None,
        None,
        torch.float32,
        False,
        1,
        0,
        servers=servers,
        keys=(KEY,) * len(servers),
        **limits,
    )


@contextmanager
def server(name=NAME, key=KEY, **responses):
    """A server with a name; `responses`: end of a path -> (status, body), or a pause in seconds.

    It signs its responses with the key; with None it does not.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.do_POST()

        def do_POST(self):
            asked.append((self.path, self.headers.get("Authorization")))
            models = 200, json.dumps({"data": [{"id": state["name"]}]})
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = {"models": models, "health": (200, "")} | responses
            response = given[self.path.rsplit("/", 1)[-1]]
            if isinstance(response, (int, float)):
                time.sleep(response)
                response = 200, "{}"
            content = response[1].encode()
            self.send_response(response[0])
            for header in response_header(self, state["key"], response[0], content).items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    asked, state = [], {"name": name, "key": key}
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}", state, asked
    finally:
        http.shutdown()
        http.server_close()


def joined(address, **more):
    client = Client(address, KEY, settings(address, **more), 0)
    client.join(CPU)
    return client


def test_weights_go_by_a_port_that_nobody_has(monkeypatch):
    """What listens there, another program or the group of a server that died, is passed over."""
    used = []  # the exchange itself wants a GPU
    monkeypatch.setattr(Client, "init_communicator", lambda c, device: used.append(c.group_port))
    with server() as (address, state, _), socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        first = taken.getsockname()[1]
        client = Client(address, KEY, settings(address), first)
        client.join(torch.device("cuda"))
        with socket.socket() as other:
            other.bind(("", used[0]))
            other.listen()
            state["name"] = f"{NAME}2"
            client.join(torch.device("cuda"))
    assert len({first, *used}) == 3


def test_requests_are_signed_and_the_key_is_not_sent():
    with server() as (address, _, asked):
        joined(address)
    assert [path for path, _ in asked] == ["/health", "/v1/models"]
    for _, shown in asked:
        assert shown.startswith(f"{SCHEME} {urlsplit(address).netloc} ")
        assert f" {KEY}" not in shown


@pytest.mark.parametrize("key", [None, "of another run"])
def test_a_server_of_somebody_else_is_told(key):
    told = r"does not prove that it has the key, which was not sent.* Start the run again"
    with server(key=key) as (address, _, asked):
        with pytest.raises(SggError, match=told):
            joined(address)
        assert len(asked) == 1


def test_who_takes_the_port_of_a_server_that_was_joined_gets_no_weights():
    with server() as (address, state, asked):
        client = joined(address)
        state["key"] = None
        asked.clear()
        for use in (client.check_identity, lambda: client.push([], iter(()))):
            with pytest.raises(SggError, match="does not prove"):
                use()
        assert [path for path, _ in asked] == ["/health", "/health"]


def test_each_server_has_its_own_key():
    with server(key="one") as (first, _, _), server(key="two") as (second, _, _):
        Servers(replace(settings(first, second), keys=("one", "two")), 0).join(CPU)
        with pytest.raises(SggError, match="does not prove"):
            Servers(replace(settings(first, second), keys=("two", "one")), 0).join(CPU)


def test_a_server_that_never_responds_is_a_fault_within_its_limit():
    start = time.monotonic()
    with pytest.raises(ServerFault, match=r"http://127\.0\.0\.1:9 does not respond"):
        joined("http://127.0.0.1:9")
    assert time.monotonic() - start < 20


def test_a_new_start_of_a_server_is_noticed():
    with server() as (address, state, _):
        client = joined(address)
        client.check_identity()
        state["name"] = "server0-2"
        with pytest.raises(ServerFault, match="started again and has the first weights"):
            client.check_identity()


@pytest.mark.parametrize(
    ("response", "told"),
    [
        ((200, "not JSON"), "gave a response that is no JSON"),
        ((200, "[]"), "malformed response: TypeError"),
        ((200, '{"choices": []}'), "malformed response: IndexError"),
        (
            (200, '{"choices": [{"token_ids": [1], "logprobs": {"content": []}}]}'),
            "malformed response",
        ),
        ((500, "engine is dead"), "status 500: engine is dead"),
        (30, "does not respond: ReadTimeout"),
    ],
)
def test_bad_responses_are_faults_with_a_message(response, told):
    render = 200, json.dumps({"features": None})
    with server(generate=response, render=render) as (address, _, _):
        servers = Servers(settings(address), 0)
        servers.join(CPU)
        sampling = [{"n": 1, "max_tokens": 4}]
        with pytest.raises(ServerFault, match=told):
            servers.completions([[1, 2]], [None], lambda features, ids: features, sampling)


def test_weights_that_are_not_taken_are_a_fault_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("sgg.rollout.client._MEMORY", tmp_path)
    with server(collective_rpc=(500, "no room")) as (address, _, _):
        client = joined(address)
        read = []

        def params():
            for name in ("a", "b"):
                read.append(name)
                yield name, torch.zeros(2)

        with pytest.raises(ServerFault, match="status 500: no room"):
            client.push([], params())
    assert read == ["a", "b"]
    assert not list(tmp_path.iterdir())


def test_image_tokens_are_collapsed_run_by_run():
    assert collapsed([1, 9, 9, 9, 2, 9, 9, 3, 3], 9) == [1, 9, 2, 9, 3, 3]
    assert collapsed([1, 9, 2], 9) == [1, 9, 2]


def test_cures_end_with_their_faults(monkeypatch):
    class Mended:
        def generate(self):
            """Collapses by image_token_id."""

        def sync_weights(self):
            """Resets the encoder_cache."""

    told = cures.expands_twice, cures.keeps_image_features
    assert all(cure() for cure in told)
    monkeypatch.setattr(cures, "VLLMGeneration", Mended)
    for cure in told:
        cure.cache_clear()
    try:
        assert not any(cure() for cure in told)
    finally:
        for cure in told:
            cure.cache_clear()


def test_the_watchdog_ends_a_wait_that_nothing_else_can_end():
    code = (
        "import time\nfrom sgg.rollout.watchdog import limited\n"
        "with limited('quick', 60, 'it'): pass\n"
        "with limited('pushing weights', 0.5, 'logs/server0.log'): time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert "Timed out after 0.5 s" in done.stderr
    assert "while pushing weights" in done.stderr
    assert "hardware.rollout.wait_timeout_s" in done.stderr
    assert "logs/server0.log" in done.stderr
