"""What a vLLM server of ours responds to."""

import asyncio
import inspect
import re

import pytest

from sgg.chat_api.proof import PROOF_PATH, new_nonce, proof
from sgg.config.hardware import SERVER_KEY_VARIABLE
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

    scope = {"type": kind, "path": path, "headers": headers, **more}
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
    assert [status(access, "/metrics") for access in BOTH] == [200, 404]


@pytest.mark.parametrize("access", BOTH)
def test_everybody_may_ask_for_a_proof(keyed, access):
    nonce = new_nonce()
    said = sent(access, PROOF_PATH, query_string=f"nonce={nonce}".encode())
    assert said[0]["status"] == 200
    assert said[1]["body"].decode() == proof("key", nonce)
    assert said[1]["body"].decode() != proof("other", nonce)


@pytest.mark.parametrize("query", [b"", b"nonce=", b"nonce=12", b"nonce=" + b"G" * 64, b"\xff"])
def test_only_a_random_number_is_proved_with(keyed, query):
    assert status(RolloutAccess, PROOF_PATH, query_string=query) == 400


def test_without_a_key_nothing_is_proved(monkeypatch):
    monkeypatch.delenv(SERVER_KEY_VARIABLE, raising=False)
    assert status(EvaluationAccess, PROOF_PATH, query_string=b"nonce=" + b"0" * 64) == 404


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
