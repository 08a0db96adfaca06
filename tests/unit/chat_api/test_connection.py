"""A key is shown to a server that has proved that it has it, and to nobody else."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from sgg.chat_api.connection import BearerKey, ProvenKey
from sgg.chat_api.proof import PROOF_PATH, is_nonce, new_nonce, proof, proves
from sgg.errors import SggError

KEY = "THE-KEY"


@contextmanager
def listener(prove, port=0):
    """A real one that notes the path and the key of each request; `prove` maps a nonce to status and body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            path, _, nonce = self.path.partition("?nonce=")
            status, said = prove(nonce) if path.endswith(PROOF_PATH) else (200, "a response")
            body = said.encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/v1/models")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    seen = []
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def honest(nonce):
    return 200, proof(KEY, nonce)


def slow(nonce):
    time.sleep(5)
    return honest(nonce)


def client(url, **more):
    return httpx.Client(auth=ProvenKey(KEY, url, "Look there."), trust_env=False, **more)


@pytest.mark.parametrize(
    "prove",
    [
        lambda nonce: (404, "nothing here"),
        lambda nonce: (200, ""),
        lambda nonce: (200, nonce),
        lambda nonce: (200, proof("another key", nonce)),
        lambda nonce: (200, proof(KEY, "0" * 64)),  # what it may have heard before
        lambda nonce: (200, proof(KEY, nonce).upper()),
        lambda nonce: (200, "é"),
        lambda nonce: (302, proof(KEY, nonce)),
        lambda nonce: (401, proof(KEY, nonce)),
    ],
)
@pytest.mark.parametrize("follows", [False, True])
def test_a_squatter_never_sees_the_key(prove, follows):
    with listener(prove) as (url, seen), client(url, follow_redirects=follows) as http:
        for _ in range(2):
            with pytest.raises(
                SggError, match=r"does not prove that it has the key.* Look there\."
            ):
                http.get(f"{url}/v1/models")
    assert seen
    assert {key for _, key in seen} == {None}


def test_each_request_has_a_proof_of_its_own():
    with listener(honest) as (url, seen), client(url) as http:
        for _ in range(3):
            assert http.get(f"{url}/v1/models").text == "a response"
    assert [key for _, key in seen] == [None, f"Bearer {KEY}"] * 3
    nonces = [path.partition("nonce=")[2] for path, key in seen if key is None]
    assert len(set(nonces)) == 3
    assert all(map(is_nonce, nonces))


def test_who_takes_a_servers_port_never_sees_the_key():
    with listener(honest) as (url, seen), client(url) as http:
        http.get(f"{url}/v1/models")
        assert seen[-1] == ("/v1/models", f"Bearer {KEY}")
    port = int(url.rpartition(":")[2])
    with listener(lambda nonce: (200, "?"), port) as (_, seen), client(url) as http:
        with pytest.raises(SggError, match="does not prove"):
            http.get(f"{url}/v1/models")
        assert [key for _, key in seen] == [None]


def test_a_server_below_a_path_is_asked_there():
    with listener(honest) as (url, seen), client(f"{url}/a") as http:
        http.get(f"{url}/a/v1/models")
    assert [path.partition("?")[0] for path, _ in seen] == [f"/a{PROOF_PATH}", "/a/v1/models"]


def test_a_server_that_is_not_ready_may_be_asked_again():
    with listener(lambda nonce: (503, "starting")) as (url, seen), client(url) as http:
        with pytest.raises(httpx.HTTPError, match="HTTP 503 in the place of a proof"):
            http.get(f"{url}/v1/models")
        assert [key for _, key in seen] == [None]


def test_a_proof_has_the_time_limit_of_its_request():
    with listener(slow) as (url, _), client(url, timeout=0.3) as http:
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            http.get(f"{url}/v1/models")
        assert time.monotonic() - start < 4


def test_other_servers_are_shown_the_key_at_once():
    with listener(honest) as (url, seen), httpx.Client(auth=BearerKey(KEY)) as http:
        http.get(f"{url}/v1/models")
    assert seen == [("/v1/models", f"Bearer {KEY}")]


def test_a_proof_is_of_one_key_and_one_nonce():
    nonce = new_nonce()
    said = proof(KEY, nonce)
    assert KEY not in said
    assert proves(KEY, nonce, said.encode())
    assert not proves(KEY, new_nonce(), said.encode())
    assert not proves("other", nonce, said.encode())
    assert not any(map(is_nonce, ["", "0" * 63, "0" * 65, "0" * 64 + "\n", "A" * 64, "é" * 64]))
