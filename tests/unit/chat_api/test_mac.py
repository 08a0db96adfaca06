"""A code is of one key, one request, one response and one start; a request is served once and in time."""

import dataclasses

import pytest

from sgg.chat_api import mac
from sgg.chat_api.mac import RESPONSE_HEADER, SCHEME, WINDOW_S, SignedRequest, Verifier

KEY = "THE-KEY"
START = "5" * 32


def request(start=START):
    return SignedRequest.new("POST", "/v1/chat/completions", "127.0.0.1:8000", start, b"{}")


def signed(header, method="POST", target="/v1/chat/completions", key=KEY):
    return Verifier(key).signed(method, target, header.encode())


def test_a_server_reads_what_a_client_has_signed():
    made = request()
    header = made.header(KEY)
    assert signed(header) == made
    assert KEY not in header
    assert header.startswith(f"{SCHEME} 127.0.0.1:8000 ")
    assert RESPONSE_HEADER.isascii()


def test_a_code_is_of_one_key_and_of_all_that_it_covers():
    made = request()
    header = made.header(KEY)
    assert signed(header, key="another") is None
    assert signed(header, method="GET") is None
    assert signed(header, target="/collective_rpc") is None
    changes = {"address": "127.0.0.1:8001", "start": "0" * 32, "time_s": 5, "nonce": "0" * 64}
    changes["body_sha256"] = "0" * 64
    for name, value in changes.items():
        other = dataclasses.replace(made, **{name: value})
        forged = other.header(KEY).replace(other.code(KEY), made.code(KEY))
        assert signed(forged) is None, name


@pytest.mark.parametrize(
    "header", ["", f"Bearer {KEY}", SCHEME, f"{SCHEME} a:1 0 1 0 0 0", f"{SCHEME} é:1 0 1 0 0 0"]
)
def test_other_headers_are_no_signed_requests(header):
    assert signed(header) is None


def test_a_response_is_of_one_request_and_of_the_start_that_it_says():
    made = request()
    header = made.response_header(KEY, START, 200, b"a response")
    assert made.responding_start(KEY, header, 200, b"a response") == START
    assert made.responding_start(KEY, header, 200, b"another") is None
    assert made.responding_start(KEY, header, 404, b"a response") is None
    assert made.responding_start("another", header, 200, b"a response") is None
    assert request().responding_start(KEY, header, 200, b"a response") is None
    for shown in (header.replace(START, "6" * 32), f"{START} {made.code(KEY)}", header[33:], "é"):
        assert made.responding_start(KEY, shown, 200, b"a response") is None


def test_each_start_of_a_server_is_another():
    assert Verifier(KEY).start != Verifier(KEY).start


def test_a_request_is_served_once():
    verifier, made = Verifier(KEY), request()
    assert verifier.fault(made) is None
    assert verifier.fault(made) == "The request was made before."
    assert verifier.fault(request()) is None


@pytest.mark.parametrize("off", [-WINDOW_S - 5, WINDOW_S + 5])
def test_a_request_of_another_time_is_refused(off):
    made = request()
    late = dataclasses.replace(made, time_s=made.time_s + off)
    assert "clocks of client and server are 30" in Verifier(KEY).fault(late)


def test_nonces_are_remembered_as_long_as_they_count_and_no_longer(monkeypatch):
    verifier, made = Verifier(KEY), request()
    early = dataclasses.replace(made, time_s=made.time_s + WINDOW_S - 5)  # its clock is ahead
    assert verifier.fault(early) is None
    now = mac.time.time() + 2 * WINDOW_S - 10
    monkeypatch.setattr(mac.time, "time", lambda: now)
    assert verifier.fault(early) == "The request was made before."
    now += 20
    assert "clocks" in verifier.fault(early)
    assert not verifier._nonces
    assert not verifier._expiring
