"""`sgg serve`: what is reported before anything is loaded."""

import socket

import pytest

from sgg.cli.serve import announced_addresses, main
from sgg.errors import SggError


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_is_a_number(port):
    with pytest.raises(SggError, match=f"port={port}: must be a number from 1 to 65535"):
        main([f"port={port}"])


def test_others_are_let_in_with_a_key_only(monkeypatch):
    monkeypatch.delenv("SGG_SERVER_KEY", raising=False)
    with pytest.raises(SggError, match=r"host=0\.0\.0\.0 lets others reach .* Set SGG_SERVER_KEY"):
        main(["host=0.0.0.0"])


@pytest.mark.parametrize(
    "key", ["short", "fifteen letters", "a key of sixteen\n", "ein schlüssel, der lang ist"]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_key_that_could_be_guessed_is_told(monkeypatch, key, host):
    monkeypatch.setenv("SGG_SERVER_KEY", key)
    with pytest.raises(SggError, match=r"SGG_SERVER_KEY must be 16 or more .*openssl rand") as told:
        main([f"host={host}"])
    assert key not in str(told.value)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SggError, match=rf"port={port}: Address already in use .*Take another"):
            main([f"port={port}"])


def test_wrong_words_are_told_as_for_a_run(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(SggError, match=r"generate\.gpu_memory_utilization=2"):
        main([f"port={port}", "generate.gpu_memory_utilization=2"])


def test_addresses_are_as_clients_sign_them(monkeypatch):
    monkeypatch.setenv("SGG_SERVER_KEY", "a key of sixteen letters")
    assert announced_addresses("") == []
    given = "node7.example:08000,[::1]:9,10.0.0.7:443"
    assert announced_addresses(given) == ["node7.example:8000", "::1:9", "10.0.0.7:443"]


@pytest.mark.parametrize(
    "words", ["node7", "node7:0", "node7:65536", "http://node7:80", "node7:80,", "::1:9", ":80"]
)
def test_a_malformed_address_is_told(monkeypatch, words):
    monkeypatch.setenv("SGG_SERVER_KEY", "a key of sixteen letters")
    with pytest.raises(SggError, match=r"address=.*: must be HOST:PORT, several separated by comm"):
        announced_addresses(words)


def test_an_address_without_a_key_would_be_read_by_nobody(monkeypatch):
    monkeypatch.delenv("SGG_SERVER_KEY", raising=False)
    with pytest.raises(SggError, match=r"address=node7:80 is for .* SGG_SERVER_KEY is not set"):
        announced_addresses("node7:80")
