"""The key is sent to no server of ours, and only a server that has it is believed."""

import asyncio
import gzip
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from fake_server import START, response_header

from sgg.chat_api.client import ChatClient
from sgg.chat_api.connection import (
    HEADERS,
    OTHER_START,
    BearerKey,
    SignedRequests,
    async_hooks,
    hooks,
    proxy_hint,
)
from sgg.chat_api.mac import RESPONSE_HEADER, SCHEME, UNKNOWN_START
from sgg.errors import SggError

KEY = "THE-KEY"
BODY = b"a response"


@contextmanager
def listener(respond, port=0):
    """A real one that notes method, path, key and body of each request.

    `respond` maps a request handler to status, headers and body.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.command, self.path, self.headers.get("Authorization"), self.sent))
            status, headers, body = respond(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

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


def code(handler, status=200, body=BODY, key=KEY, start=START):
    return response_header(handler, key, status, body, start)


def honest(handler):
    return 200, code(handler), BODY


def redirecting(handler):
    if handler.path == "/elsewhere":
        return honest(handler)
    return 302, {"Location": "/elsewhere"}, BODY


def slow(handler):
    time.sleep(5)
    return honest(handler)


def client(url, **more):
    return httpx.Client(auth=SignedRequests(KEY, url, "Look there."), trust_env=False, **more)


def assert_key_was_not_sent(seen):
    assert seen
    assert not [request for request in seen if KEY in str(request)]


class Recorded:
    """Responds with the code of the first response that an honest server gave, once that has given two."""

    def __init__(self):
        self.heard = []

    def __call__(self, handler):
        if len(self.heard) == 2:
            return 200, self.heard[0], BODY
        self.heard.append(code(handler))
        return 200, self.heard[-1], BODY


@pytest.mark.parametrize(
    "respond",
    [
        lambda handler: (404, {}, b"nothing here"),
        lambda handler: (200, {}, BODY),
        lambda handler: (200, {RESPONSE_HEADER: ""}, BODY),
        lambda handler: (200, {RESPONSE_HEADER: handler.headers["Authorization"][-64:]}, BODY),
        lambda handler: (200, code(handler, key="another key"), BODY),
        lambda handler: (200, code(handler), b"another response"),
        lambda handler: (404, code(handler), BODY),
        redirecting,
        lambda handler: (401, {}, b"no"),
    ],
)
@pytest.mark.parametrize("follows", [False, True])
def test_a_squatter_sees_neither_key_nor_body(respond, follows):
    with listener(respond) as (url, seen), client(url, follow_redirects=follows) as http:
        for asked in (
            lambda: http.get(f"{url}/v1/models"),
            lambda: http.post(f"{url}/v1/x", json={}),
        ):
            with pytest.raises(
                SggError, match=r"does not prove that it has the key.* Look there\."
            ):
                asked()
    assert_key_was_not_sent(seen)
    assert {(method, body) for method, _, _, body in seen} == {("GET", b"")}


def test_a_server_of_another_version_is_named_as_a_reason():
    """Its codes are made in another way, so it looks as one with another key."""
    reason = "another key or is of another version of sgg"
    with (
        listener(lambda handler: (200, {}, BODY)) as (url, _),
        client(url) as http,
        pytest.raises(SggError, match=reason),
    ):
        http.get(f"{url}/v1/models")


def test_what_a_server_has_said_before_is_not_believed():
    with listener(Recorded()) as (url, _), client(url) as http:
        assert http.get(f"{url}/v1/models").content == BODY
        with pytest.raises(SggError, match="does not prove"):
            http.get(f"{url}/v1/models")


def test_each_request_follows_one_without_a_body_and_has_a_nonce_and_the_servers_start():
    with listener(honest) as (url, seen), client(url) as http:
        for _ in range(2):
            assert http.post(f"{url}/v1/chat/completions", json={"n": 1}).content == BODY
        http.get(f"{url}/v1/models?a=b%20c")
    assert_key_was_not_sent(seen)
    posts = [("GET", "/health"), ("POST", "/v1/chat/completions")] * 2
    gets = [("GET", "/health"), ("GET", "/v1/models?a=b%20c")]
    assert [request[:2] for request in seen] == [*posts, *gets]
    assert json.loads(seen[1][3]) == {"n": 1}
    assert all(header.startswith(f"{SCHEME} ") for _, _, header, _ in seen)
    assert [header.split()[2] for _, _, header, _ in seen] == [UNKNOWN_START, START] * 3
    assert len({header.split()[4] for _, _, header, _ in seen}) == 6


class Restarting:
    """A server that is started again after its first responses to /health, so many times."""

    def __init__(self, times):
        self.times, self.starts, self.served = times, 0, []

    def __call__(self, handler):
        start = f"{self.starts:032x}"
        if handler.path == "/health":
            self.starts += self.starts < self.times
            return 200, code(handler, start=start), BODY
        if handler.headers["Authorization"].split()[2] != start:
            return OTHER_START, code(handler, OTHER_START, b"", start=start), b""
        self.served.append(handler.sent)
        return 200, code(handler, start=start), BODY


def test_a_server_that_was_started_again_is_asked_again_once():
    server = Restarting(1)
    with listener(server) as (url, seen), client(url) as http:
        assert http.post(f"{url}/v1/x", json={}).content == BODY
        assert http.post(f"{url}/v1/x", json={}).content == BODY
    assert server.served == [b"{}", b"{}"]
    assert [path for _, path, *_ in seen] == ["/health", "/v1/x"] * 3
    with listener(Restarting(2)) as (url, seen), client(url) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="started again, twice"):
            http.post(f"{url}/v1/x", json={})
        assert len(seen) == 4


def test_who_takes_a_servers_port_never_sees_key_or_body():
    with listener(honest) as (url, seen), client(url) as http:
        http.post(f"{url}/v1/x", json={"secret": 1})
        assert b"secret" in seen[-1][3]
    port = int(url.rpartition(":")[2])
    with listener(lambda _: (200, {}, BODY), port) as (_, seen), client(url) as http:
        with pytest.raises(SggError, match="does not prove"):
            http.post(f"{url}/v1/x", json={"secret": 1})
        assert_key_was_not_sent(seen)
        assert [body for *_, body in seen] == [b""]


def test_a_server_refuses_in_its_own_words():
    refusal = b"The clocks of client and server are 400 s apart.\n"
    with (
        listener(lambda h: (401, code(h, 401, refusal), refusal)) as (url, _),
        client(url) as http,
        pytest.raises(SggError, match=r"refuses the request: The clocks .* 400 s apart\.$"),
    ):
        http.get(f"{url}/v1/models")


@pytest.mark.parametrize("respond", [lambda h: (503, {}, b""), lambda h: (503, code(h, 503), BODY)])
def test_a_server_that_is_not_ready_may_be_asked_again(respond):
    with listener(respond) as (url, seen), client(url) as http:
        with pytest.raises(httpx.HTTPError, match="HTTP 503"):
            http.post(f"{url}/v1/x", json={})
        assert [path for _, path, *_ in seen] == ["/health"]


def test_the_request_before_has_the_time_limit_of_its_request():
    with listener(slow) as (url, _), client(url, timeout=0.3) as http:
        start = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            http.post(f"{url}/v1/x", json={})
        assert time.monotonic() - start < 4


def test_a_proxy_that_refuses_by_itself_is_named(monkeypatch):
    async def ask():
        client = ChatClient("SGG_SERVER_KEY", signs=True)
        try:
            await client.models("http://node7.example:8000", 30)
        finally:
            await client.close()

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SGG_SERVER_KEY", KEY)
    with listener(lambda _: (407, {}, b"who are you?")) as (proxy, seen):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        told = r"responds with HTTP 407.* proxy that HTTP_PROXY names.* put node7\.example into NO_"
        with pytest.raises(SggError, match=told):
            asyncio.run(ask())
    assert [path for _, path, *_ in seen] == ["http://node7.example:8000/health"]
    assert_key_was_not_sent(seen)


def test_where_no_proxy_stands_before_a_server_none_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "node7.example")
    assert not proxy_hint("http://node7.example:8000")
    assert proxy_hint("http://node8.example:8000")
    monkeypatch.delenv("HTTP_PROXY")
    assert not proxy_hint("http://node8.example:8000")


def test_other_servers_are_shown_the_key_at_once():
    with (
        listener(lambda _: (200, {}, BODY)) as (url, seen),
        httpx.Client(auth=BearerKey(KEY)) as http,
    ):
        http.get(f"{url}/v1/models")
    assert [request[:3] for request in seen] == [("GET", "/v1/models", f"Bearer {KEY}")]


def long(handler):
    return 200, {}, bytes(1001)


def compressed(handler):
    return 200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(10_000))


@pytest.mark.parametrize(("respond", "told"), [(long, "more than 1000 b"), (compressed, "compres")])
def test_a_response_has_a_limit(respond, told):
    async def ask(url):
        async with httpx.AsyncClient(headers=HEADERS, event_hooks=async_hooks(1000)) as http:
            await http.post(url)

    with listener(respond) as (url, _):
        with (
            httpx.Client(headers=HEADERS, event_hooks=hooks(1000)) as http,
            pytest.raises(httpx.RemoteProtocolError, match=told),
        ):
            http.post(url)
        with pytest.raises(httpx.RemoteProtocolError, match=told):
            asyncio.run(ask(url))


def test_a_response_that_may_be_a_squatters_has_a_smaller_limit():
    def big(handler):
        return 200, {}, bytes(2**20 + 1)

    with listener(big) as (url, _), client(url, event_hooks=hooks(2**30)) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="more than 1048576 bytes"):
            http.get(url)
        with pytest.raises(httpx.RemoteProtocolError, match="more than 1048576 bytes"):
            http.post(url, json={})
