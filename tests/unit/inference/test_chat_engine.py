"""Completions over servers: who is asked what, and what happens when a server misbehaves."""

import base64
import io
import json
import logging
import socket

import numpy as np
import pytest
from fake_server import TEXT, FakeServer, response
from PIL import Image

from sgg.chat_api.mac import SCHEME
from sgg.errors import SggError
from sgg.inference.chat_api import TRIES, ServerEngine, ServerOptions
from sgg.inference.generate import Batch, Completion, Request, Sampling
from sgg.inference.requests import completion_seed, resized
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages

TINY = locate("tiny_qwen2_5_vl")
PROMPT = 45
"""Tokens of the prompt with its image, as a vLLM server counted them."""
GREEDY = Sampling(max_new_tokens=16)
WHOLE = Completion(TEXT, 3, truncated=False)


@pytest.fixture(scope="module")
def processor():
    return load_processor(TINY, 12544, 12544)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    for module in ("pool", "served_model"):
        monkeypatch.setattr(f"sgg.chat_api.{module}.PAUSES_S", (0.01, 0.01, 0.01))


@pytest.fixture
def start():
    started = []

    def begin(*args, **kwargs):
        started.append(FakeServer(*args, **kwargs))
        return started[-1]

    yield begin
    for server in started:
        server.end()


def image_of(number):
    blocks = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((90, 120), Image.Resampling.NEAREST)


def batches(count, completions=1):
    for i in range(count):
        request = Request(f"image-{i}", messages(BRIEF, "Look."), image_of(i))
        yield Batch(i, [request], {(request.image_id, k) for k in range(completions)})


@pytest.fixture
def ask(processor, tmp_path):
    """All completions from these servers."""

    def completions(*servers, count=6, sampling=GREEDY, limit_s=20.0, in_flight=4, **more):
        access = ServerOptions([s.url for s in servers], "tiny", in_flight, limit_s, **more)
        engine = ServerEngine(access, TINY, processor, sampling, tmp_path)
        return dict(engine.completions(batches(count, sampling.completions)))

    return completions


def told(ask, *servers, **more):
    with pytest.raises(SggError) as raised:
        ask(*servers, **more)
    return str(raised.value)


class Dead:
    """An address at which nobody listens."""

    def __init__(self):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{held.getsockname()[1]}"


def test_requests_are_spread_evenly(start, ask):
    servers = [start(), start(), start()]
    found = ask(*servers, count=30, in_flight=6)
    assert found == {(f"image-{i}", 0): WHOLE for i in range(30)}
    assert sum(len(s.bodies) for s in servers) == 30
    assert min(len(s.bodies) for s in servers) >= 5


def test_requests_to_a_server_of_sggs_own_are_signed(start, ask, monkeypatch):
    monkeypatch.setenv("SGG_SERVER_KEY", "sesame")
    server = start(key="sesame")
    ask(server, count=3, api_key_env="SGG_SERVER_KEY", signs=True)
    assert (
        len(server.shown) == 8
    )  # the list of models, three completions, and before each one to /health
    assert all(shown.startswith(SCHEME) and "sesame" not in shown for shown in server.shown)


@pytest.mark.parametrize("key", [None, "another"])
def test_a_server_that_signs_nothing_sees_neither_key_nor_images(start, ask, monkeypatch, key):
    monkeypatch.setenv("SGG_SERVER_KEY", "sesame")
    squatter = start(key=key)
    said = told(ask, squatter, api_key_env="SGG_SERVER_KEY", signs=True)
    assert f"{squatter.url} does not prove that it has the key, which was not sent" in said
    assert "Set SGG_SERVER_KEY here" in said
    assert "sesame" not in squatter.shown[0]
    assert (len(squatter.shown), squatter.bodies) == (1, [])


@pytest.mark.parametrize("unset", [None, ""])
def test_without_its_key_a_server_of_sggs_own_is_asked_nothing(start, ask, monkeypatch, unset):
    monkeypatch.delenv("SGG_SERVER_KEY", raising=False)
    if unset is not None:
        monkeypatch.setenv("SGG_SERVER_KEY", unset)
    squatter = start()
    said = told(ask, squatter, api_key_env="SGG_SERVER_KEY", signs=True)
    assert "SGG_SERVER_KEY is not set here, so no request can be signed" in said
    assert squatter.shown == []


def test_a_request_says_what_other_engines_are_told(start, ask, processor, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sesame")
    server = start()
    sampling = Sampling(16, temperature=0.7, top_p=0.9, top_k=5, completions=2, seed=3)
    ask(server, count=1, sampling=sampling, api_key_env="MY_KEY")
    by_seed = {body["seed"]: body for body in server.bodies}
    assert set(by_seed) == {completion_seed(3, ("image-0", k)) for k in (0, 1)}
    assert server.keys == ["Bearer sesame"] * 2
    body = server.bodies[0]
    system, user = body.pop("messages")
    assert system == {"role": "system", "content": [{"type": "text", "text": "Look."}]}
    image, text = user["content"]
    assert text == {"type": "text", "text": BRIEF}
    head, data = image["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert np.array_equal(np.asarray(sent), np.asarray(resized(image_of(0), processor)))
    del body["seed"]
    assert body == {
        "model": "tiny",
        "n": 1,
        "max_tokens": 16,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
    }


def test_no_key_no_header_no_limit_no_word(start, ask, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = start(lambda number: response(finish="length"))
    found = ask(server, count=1)
    assert server.keys == [None]
    assert "top_k" not in server.bodies[0]
    assert found["image-0", 0] == Completion(TEXT, 3, truncated=True)


def test_a_vllm_server_is_told_the_ends_and_tells_tokens(start, ask, processor):
    end = processor.tokenizer.eos_token_id
    ids = processor.tokenizer("red square")["input_ids"]
    server = start(
        lambda number: response("other words", token_ids=ids if number else [*ids, end]),
        models=["tiny"],
        owned_by="vllm",
    )
    found = ask(server, count=2, in_flight=1)
    assert found["image-0", 0] == Completion("red square", len(ids), truncated=False)
    assert found["image-1", 0] == Completion("red square", len(ids), truncated=True)
    body = server.bodies[0]
    assert end in body["stop_token_ids"]
    assert body["logit_bias"] == {str(i): -100.0 for i in processor.forbidden_ids}
    assert (body["ignore_eos"], body["top_k"], body["repetition_penalty"]) == (True, 0, 1.0)


FAULTS = {
    "no JSON": ("<html>", "malformed response"),
    "no choices": ('{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}', "`choices`"),
    "empty choices": (json.dumps(response() | {"choices": []}), "$.choices"),
    "null content": (response(None), "a completion without content"),
    "no usage": (json.dumps({"choices": response()["choices"]}), "`usage`"),
    "broken off": (response(finish="abort"), "a completion that ended by 'abort'"),
    "closed in the middle": ("close", "RemoteProtocolError"),
    "500": ((500, "Internal"), "HTTP 500: Internal"),
    "503": ((503, ""), "HTTP 503"),
    "429": ((429, "busy"), "HTTP 429: busy"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_asked_again(fault, start, ask, caplog):
    said, words = FAULTS[fault]
    server = start(lambda number: said if number in (1, 3) else response())
    assert ask(server, in_flight=1) == {(f"image-{i}", 0): WHOLE for i in range(6)}
    assert len(server.bodies) == 8
    assert words in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_leaves_the_server_out_or_ends_the_run(fault, start, ask, caplog, tmp_path):
    said, words = FAULTS[fault]
    bad, good = start(lambda number: said), start()
    assert len(ask(bad, good, count=40)) == 40
    assert f"{bad.url}: " in caplog.text
    assert len(bad.bodies) <= 4 * (1 + 3)  # what is in flight, and once more after each pause
    message = told(ask, bad)
    assert f"No server is left of generate.servers=[{bad.url}]" in message
    assert words in message
    assert f"sgg resume {tmp_path}" in message


def test_a_server_that_nobody_can_reach_is_left_out(start, ask, caplog, tmp_path):
    dead, good = Dead(), start()
    assert len(ask(dead, good)) == 6
    assert f"{dead.url}: ConnectError" in caplog.text
    message = told(ask, dead)
    assert (
        f"No server is left of generate.servers=[{dead.url}]; last error: {dead.url}: " in message
    )
    assert f"sgg resume {tmp_path}" in message


def test_a_server_that_hangs_is_left_out_after_one_limit(start, ask, caplog):
    hung, good = start(lambda number: "hang"), start()
    assert len(ask(hung, good, limit_s=0.5)) == 6
    assert f"{hung.url}: no response within 0.5 s; left out" in caplog.text
    assert len(hung.bodies) <= 4
    message = told(ask, hung, limit_s=0.5)
    assert "no response within 0.5 s" in message


def test_what_one_server_cannot_generate_another_is_asked(start, ask):
    server = start(lambda number: (500, "this image"))
    fine = start(lambda number: (500, "this image") if number < 2 else response())
    assert len(ask(server, fine, count=8, in_flight=2)) == 8


def test_one_completion_is_tried_so_often_and_no_more(start, ask):
    poison = start()

    def script(number):
        first = poison.bodies[number]["seed"] == completion_seed(0, ("image-0", 0))
        return (500, "this image") if first else response()

    poison.script = script
    message = told(ask, poison, count=10_000, in_flight=3)
    assert message.startswith(
        f"image-0: {TRIES} tries gave no completion; last error: {poison.url}: "
    )
    seeds = [body["seed"] for body in poison.bodies]
    assert seeds.count(completion_seed(0, ("image-0", 0))) == TRIES


def test_a_refusal_is_told_at_once_without_the_key(start, ask, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    server = start(lambda number: (401, '{"error": "sesame is no key of ours' + "." * 999))
    message = told(ask, server, count=1)
    assert message.startswith(f"image-0: {server.url}/v1/chat/completions refuses: HTTP 401: ")
    assert "environment variable OPENAI_API_KEY, which is set" in message
    assert "sesame" not in message + caplog.text
    assert len(message) < 800
    assert len(server.bodies) == 1


def test_what_is_generated_is_handed_over_before_a_refusal_ends_the_run(start, processor, tmp_path):
    server = start(lambda number: response() if number < 5 else (400, "too long"))
    access = ServerOptions([server.url], "tiny", 1, 20.0)
    completions = ServerEngine(access, TINY, processor, GREEDY, tmp_path).completions(batches(9))
    assert [next(completions)[0] for _ in range(5)] == [(f"image-{i}", 0) for i in range(5)]
    with pytest.raises(SggError, match=r"image-5: .*HTTP 400: too long"):
        next(completions)


def test_the_only_model_is_asked_for_and_others_are_wrong(start, ask):
    one, two, several = start(), start(models=["other"]), start(models=["tiny", "other"])
    assert f"wrong model served: {one.url} serves tiny, {two.url} serves other" in told(
        ask, one, two
    )
    assert "serves tiny, other: say which by generate.server_model=" in told(ask, several)
    assert len(ask(several, one, server_model="tiny")) == 6
    message = told(ask, one, server_model="big")
    assert f"generate.server_model=big: wrong model served: {one.url} serves tiny" in message
    assert "serves nothing" in told(ask, start(models=[]))


def test_a_vllm_server_of_another_model_or_other_pixels(start, ask, caplog):
    ours = start(owned_by="vllm", root="/somewhere")
    ask(ours)
    assert "is it the same model?" not in caplog.text
    other = start(models=["big"], owned_by="vllm", root="/models/big")
    with caplog.at_level(logging.WARNING):
        ask(other)
    assert f"{other.url} serves big (root /models/big), and model.path=tiny" in caplog.text
    larger = response() | {"usage": {"prompt_tokens": PROMPT + 99, "completion_tokens": 3}}
    message = told(ask, start(lambda number: larger, owned_by="vllm"))
    assert f"saw a prompt of {PROMPT + 99} tokens where model.path=tiny" in message


def test_what_is_no_openai_server_is_told(start, ask):
    server = start(models=None)
    message = told(ask, server)
    assert f"{server.url}/v1/models refuses: HTTP 404: nothing here" in message
    assert "Is it an OpenAI-compatible server?" in message
