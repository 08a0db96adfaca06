"""Addresses of servers: what is reported before a run begins."""

import subprocess
import sys

import pytest
from configs import check

from sgg.config.compose import compose_config
from sgg.config.generate import Engine
from sgg.errors import SggError

SERVER = ["stage=eval", "generate=server"]
GOOD = "generate.servers=[http://127.0.0.1:8000,https://llm.example.org/team]"


def problem(*words):
    with pytest.raises(SggError) as told:
        check([*SERVER, *words])
    return str(told.value)


def test_servers_are_taken_as_written():
    generate = check([*SERVER, GOOD]).generate
    assert generate.engine is Engine.server
    assert generate.servers == ["http://127.0.0.1:8000", "https://llm.example.org/team"]
    assert (generate.request_timeout_s, generate.api_key_env) == (600, "OPENAI_API_KEY")


def test_no_servers():
    assert "generate=server needs generate.servers=[http://HOST:PORT" in problem()


def test_servers_with_another_engine():
    with pytest.raises(
        SggError, match=r"would be ignored with generate\.engine=hf\. Take generate=server"
    ):
        check(["stage=eval", GOOD])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8000", "write http://HOST:PORT"),
        ("ftp://host:1", "write http://HOST:PORT"),
        ("http://", "write http://HOST:PORT"),
        ("http://host:port", "write http://HOST:PORT"),
        ("http://host:99999", "write http://HOST:PORT"),
        ("http://host:8000/", "leave out the / at its end"),
        ("http://host:8000/v1", "leave out /v1, which is added"),
        ("http://host:8000/x?y", "no spaces, ? or #"),
    ],
)
def test_bad_addresses(url, words):
    told = problem(f"generate.servers=['{url}']")
    assert f"generate.servers[0]={url}: " in told
    assert words in told


@pytest.mark.parametrize("url", ["http://me:sesame@host:1", "http://sesame@host:1", "sesame@host"])
def test_credentials_are_refused_and_not_repeated(url):
    told = problem(f"generate.servers=['{url}']")
    assert "holds a user or password" in told
    assert "generate.api_key_env" in told
    assert "sesame" not in told


def test_a_key_is_no_name_of_a_variable():
    told = problem(GOOD, "generate.api_key_env=sk-sesame")
    assert "must be the name of an environment variable" in told
    assert "sesame" not in told


def test_a_server_twice():
    assert "names a server twice" in problem("generate.servers=[http://a:1,http://a:1]")


@pytest.mark.parametrize("limit", ["0", "-1"])
def test_limits_are_positive(limit):
    told = problem(GOOD, f"generate.request_timeout_s={limit}")
    assert "generate.request_timeout_s" in told
    assert "must be above 0 seconds" in told


def test_composing_imports_no_http_library():
    code = (
        "import sys; from sgg.config.compose import compose_config; from sgg.plan.validate import validate\n"
        f"config = compose_config({[*SERVER, GOOD]!r}); validate(config)\n"
        "print([m for m in ('httpx', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_serving_takes_the_words_of_the_evaluation():
    config = compose_config(["stage=eval", "generate=vllm", *SERVER, GOOD])
    assert config.generate.engine is Engine.server
