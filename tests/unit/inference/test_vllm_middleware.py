"""What a vLLM server of ours responds to."""

import asyncio
import inspect
import json
import re
import socket

import httpx
import pytest

from sgg.chat_api import own_address
from sgg.chat_api.connection import SignedRequests
from sgg.chat_api.mac import SCHEME, UNKNOWN_START, SignedRequest
from sgg.config.hardware import SERVER_ADDRESSES_VARIABLE, SERVER_KEY_VARIABLE
from sgg.errors import SggError
from sgg.inference.vllm.middleware import EvaluationAccess, RolloutAccess

KEY = (b"authorization", b"Bearer key")
BOTH = (EvaluationAccess, RolloutAccess)
TAKEN = (
    "get_server_info",
    "get_world_size",
    "image_features",
    "_generate_from_features",
    "init_communicator",
    "_start_weight_update",
    "_finish_weight_update",
    "update_named_params",
    "reset_prefix_cache",
)
"""Methods of TRL's client that ours calls."""


def sent(access, path, *headers, kind="http", **more):
    """What is sent before, or by, the application, which says 200 to everything."""
    said = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        said.append(message)

    scope = {"type": kind, "method": "GET", "path": path, "query_string": b"", "headers": headers}
    scope |= more
    asyncio.run(access(app)(scope, None, send))
    return said


def status(*asked, **more):
    first = sent(*asked, **more)[0]
    assert first["type"] != "websocket.close" or first["code"] == 1008
    return first.get("status", "closed")


@pytest.fixture
def keyed(monkeypatch):
    monkeypatch.setenv(SERVER_KEY_VARIABLE, "key")


@pytest.mark.parametrize("access", BOTH)
@pytest.mark.parametrize(
    "shown", [(b"authorization", b"Bearer other"), (b"authorization", b"key"), (b"x", b"")]
)
def test_all_endpoints_ask_for_the_key(keyed, access, shown):
    for path in access.endpoints:
        assert status(access, path, shown) == 401
        assert status(access, path, shown, method="OPTIONS") == 401
        assert status(access, path, shown, kind="websocket") == "closed"
        assert status(access, path, KEY) == 200


@pytest.mark.parametrize("access", BOTH)
@pytest.mark.parametrize(
    "path",
    [
        "/invocations",
        "/v1/completions",
        "/tokenize",
        "/docs",
        "/health/../v1/models",
        "/v1/models/",
    ],
)
def test_nothing_else_is_served_with_or_without_the_key(keyed, access, path):
    assert status(access, path) == 404
    assert status(access, path, KEY) == 404
    assert status(access, path, KEY, kind="websocket") == "closed"


def test_health_is_everybodys(keyed):
    assert [status(access, "/health") for access in BOTH] == [200, 200]
    assert [status(access, "/metrics") for access in BOTH] == [401, 404]
    assert status(EvaluationAccess, "/metrics", KEY) == 200


async def served(scope, receive, send):
    """What vLLM would serve: the request, in two parts."""
    message = await receive()
    said = json.dumps([scope["path"], message["body"].decode()]).encode()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}
    await send(start)
    await send({"type": "http.response.body", "body": said[:3], "more_body": True})
    await send({"type": "http.response.body", "body": said[3:]})


def ask(app, *requests, address="http://127.0.0.1:8000", auth=None):
    """Responses of an application that listens there, as far as `Access` can tell."""

    async def all_of_them():
        transport = httpx.ASGITransport(app)
        signed = auth or SignedRequests("key", address, "")
        async with httpx.AsyncClient(transport=transport, auth=signed, base_url=address) as http:
            return [await http.request(*request[:2], content=request[2]) for request in requests]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("access", BOTH)
def test_signed_requests_are_served_with_signed_responses(keyed, access):
    path = "/v1/chat/completions/render" if access is RolloutAccess else "/v1/chat/completions"
    post, get = ask(access(served), ("POST", path, b"what is asked"), ("GET", "/v1/models", b""))
    assert post.json() == [path, "what is asked"]
    assert get.json() == ["/v1/models", ""]
    assert post.headers["x-app"] == "1"
    missing = ask(access(served), ("GET", "/docs", b""))[0]  # signed as well, or it would raise
    assert missing.status_code == 404


def test_a_server_with_another_key_serves_nothing_and_is_not_believed(keyed):
    reached = []

    async def noted(scope, receive, send):
        reached.append(scope)
        await served(scope, receive, send)

    other = SignedRequests("another", "http://127.0.0.1:8000", "")
    with pytest.raises(SggError, match="does not prove"):
        ask(EvaluationAccess(noted), ("GET", "/v1/models", b""), auth=other)
    assert [scope["path"] for scope in reached] == ["/health"]  # which is everybody's


class Relay:
    """Took the port of a server, and hands requests on to another one with the same key."""

    def __init__(self, to, address):
        self.to, self.address, self.given = to, address, []

    async def __call__(self, scope, receive, send):
        self.given.append(scope)
        await self.to(scope | {"server": self.address}, receive, send)


@pytest.mark.parametrize("other", [("127.0.0.1", 8001), ("10.0.0.7", 8000)])
def test_a_relay_to_another_server_gets_nothing(keyed, other):
    relay = Relay(EvaluationAccess(served), other)
    where = f"The request is for 127.0.0.1:8000, and this server is {other[0]}:{other[1]}"
    for request in (("GET", "/v1/models", b""), ("POST", "/v1/chat/completions", b"an image")):
        with pytest.raises(SggError, match=where):
            ask(relay, request)
    assert [scope["path"] for scope in relay.given] == ["/health", "/health"]
    assert "Bearer" not in str(relay.given)


def test_behind_a_published_port_a_server_is_told_its_address(keyed, monkeypatch):
    def ask_outside(access):
        relay = Relay(access(served), ("172.17.0.2", 8000))  # as a container sees it
        request = ("GET", "/v1/models", b"")
        return ask(relay, request, address="http://node7.example:80")[0].status_code

    with pytest.raises(SggError, match=r"start the server with address=node7\.example:80 \(docs"):
        ask_outside(EvaluationAccess)
    with pytest.raises(SggError, match="/etc/hosts or the cluster's DNS"):
        ask_outside(RolloutAccess)
    monkeypatch.setenv(SERVER_ADDRESSES_VARIABLE, "gate.example:443,node7.example:80")
    assert ask_outside(EvaluationAccess) == 200


def test_where_names_cannot_be_looked_up_now_clients_are_to_ask_again(keyed, monkeypatch):
    """They retry what is an httpx.HTTPError, and end the run at an SggError."""

    def failing(host, *_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    access = EvaluationAccess(served)
    with monkeypatch.context() as patch:
        patch.setattr(own_address.socket, "getaddrinfo", failing)
        with pytest.raises(
            httpx.HTTPError, match=r"HTTP 503 of .*/health: 127\.0\.0\.1 cannot be looked up"
        ):
            ask(access, ("GET", "/v1/models", b""))
    assert ask(access, ("GET", "/v1/models", b""))[0].status_code == 200


class Recorded(SignedRequests):
    """Of each request, the header that it was signed with last."""

    def __init__(self):
        super().__init__("key", "http://127.0.0.1:8000", "")
        self.headers = []

    def auth_flow(self, request):
        yield from super().auth_flow(request)
        self.headers.append(request.headers["Authorization"])


class Repeated(httpx.Auth):
    """A request as somebody has read it on the network."""

    def __init__(self, header):
        self.header = header

    def auth_flow(self, request):
        request.headers["Authorization"] = self.header
        yield request


@pytest.mark.parametrize(
    ("access", "method", "path", "body"),
    [
        (EvaluationAccess, "POST", "/v1/chat/completions", b"what is asked"),
        (RolloutAccess, "POST", "/collective_rpc", b"weights"),
        (RolloutAccess, "POST", "/finish_weight_update", b""),
        (RolloutAccess, "GET", "/server_info", b""),
    ],
)
def test_a_request_is_served_once_and_with_its_own_body_and_by_one_start(
    keyed, access, method, path, body
):
    def repeat(to, content):
        (response,) = ask(to, (method, path, content), auth=Repeated(header))
        return response.status_code, response.text

    server, signing = access(served), Recorded()
    assert ask(server, (method, path, body), auth=signing)[0].status_code == 200
    (header,) = signing.headers
    assert repeat(server, body) == (401, "The request was made before.\n")
    assert repeat(access(served), body) == (412, "The server was started again.\n")
    start = header.split()[2]
    fresh = SignedRequest.new(method, path, "127.0.0.1:8000", start, body)
    header = fresh.header("key")
    assert repeat(server, b"another") == (401, "The body is not the one that was signed.\n")
    fresh = SignedRequest.new(method, path, "127.0.0.1:8000", UNKNOWN_START, body)
    header = fresh.header("key")
    assert repeat(server, body) == (412, "The server was started again.\n")


def test_a_server_that_is_started_again_between_two_requests_goes_on_being_asked(keyed):
    starts = [EvaluationAccess(served), EvaluationAccess(served)]

    async def restarted(scope, receive, send):
        if scope["path"] != "/health" and len(starts) == 2:
            starts.pop()
        await starts[-1](scope, receive, send)

    path = "/v1/chat/completions"
    responses = ask(restarted, ("POST", path, b"one"), ("POST", path, b"two"))
    assert [response.json() for response in responses] == [[path, "one"], [path, "two"]]


def test_without_a_key_nothing_is_signed(monkeypatch):
    monkeypatch.delenv(SERVER_KEY_VARIABLE, raising=False)
    header = (b"authorization", SCHEME.encode())
    assert status(RolloutAccess, "/v1/models", header) == 401
    with pytest.raises(SggError, match="does not prove"):
        ask(EvaluationAccess(served), ("GET", "/v1/models", b""))


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_key_everybody_may_ask_for_completions_and_nobody_replaces_weights(
    monkeypatch, value
):
    monkeypatch.delenv(SERVER_KEY_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(SERVER_KEY_VARIABLE, value)
    assert status(EvaluationAccess, "/v1/chat/completions") == 200
    assert status(EvaluationAccess, "/collective_rpc") == 404
    assert {status(RolloutAccess, path) for path in RolloutAccess.endpoints} == {401}
    assert status(RolloutAccess, "/update_weights", (b"authorization", b"Bearer ")) == 401
    assert status(RolloutAccess, "/update_weights", (b"authorization", b"Bearer None")) == 401


def test_weights_are_replaced_in_rollouts_alone():
    pushing = {"/collective_rpc", "/update_weights", "/init_weight_transfer_engine"}
    assert pushing <= RolloutAccess.endpoints
    assert not pushing & (EvaluationAccess.endpoints | EvaluationAccess.open_endpoints)


@pytest.mark.slow  # imports TRL
def test_all_that_trls_client_asks_is_served():
    from trl.generation.vllm_client import VLLMClient

    source = "".join(inspect.getsource(getattr(VLLMClient, name)) for name in TAKEN)
    asked = {*re.findall(r"\{self\.base_url\}(/[\w/]+)", source)}
    assert len(asked) >= 9
    assert asked <= RolloutAccess.endpoints
