"""A code is of one key, one request and one response; a request is served once, in time, at its address."""

import dataclasses
import socket

import pytest

from sgg.chat_api import mac
from sgg.chat_api.mac import RESPONSE_HEADER, SCHEME, WINDOW_S, SignedRequest, Verifier

KEY = "THE-KEY"
HERE = ("127.0.0.1", 8000)


def request(address="127.0.0.1:8000", body=b"{}"):
    return SignedRequest.new("POST", "/v1/chat/completions", address, body)


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
    changes = {"address": "127.0.0.1:8001", "time_s": 5, "nonce": "0" * 64, "body_sha256": "0" * 64}
    for name, value in changes.items():
        other = dataclasses.replace(made, **{name: value})
        forged = other.header(KEY).replace(other.code(KEY), made.code(KEY))
        assert signed(forged) is None, name


@pytest.mark.parametrize(
    "header", ["", f"Bearer {KEY}", SCHEME, f"{SCHEME} a:1 1 0 0 0", f"{SCHEME} é:1 1 0 0 0"]
)
def test_other_headers_are_no_signed_requests(header):
    assert signed(header) is None


def test_a_response_is_of_one_request():
    made = request()
    code = made.response_code(KEY, 200, b"a response")
    assert made.has_response(KEY, code, 200, b"a response")
    assert not made.has_response(KEY, code, 200, b"another")
    assert not made.has_response(KEY, code, 404, b"a response")
    assert not made.has_response("another", code, 200, b"a response")
    assert not request().has_response(KEY, code, 200, b"a response")
    assert not made.has_response(KEY, made.code(KEY), 200, b"a response")
    assert not made.has_response(KEY, "é", 200, b"a response")


def test_a_request_is_served_once():
    verifier, made = Verifier(KEY), request()
    assert verifier.fault(made, HERE) is None
    assert verifier.fault(made, HERE) == "The request was made before."
    assert verifier.fault(request(), HERE) is None


@pytest.mark.parametrize("off", [-WINDOW_S - 5, WINDOW_S + 5])
def test_a_request_of_another_time_is_refused(off):
    made = request()
    late = dataclasses.replace(made, time_s=made.time_s + off)
    assert "clocks of client and server are 30" in Verifier(KEY).fault(late, HERE)


def test_nonces_are_remembered_as_long_as_they_count_and_no_longer(monkeypatch):
    verifier, made = Verifier(KEY), request()
    early = dataclasses.replace(made, time_s=made.time_s + WINDOW_S - 5)  # its clock is ahead
    assert verifier.fault(early, HERE) is None
    now = mac.time.time() + 2 * WINDOW_S - 10
    monkeypatch.setattr(mac.time, "time", lambda: now)
    assert verifier.fault(early, HERE) == "The request was made before."
    now += 20
    assert "clocks" in verifier.fault(early, HERE)
    assert not verifier._nonces
    assert not verifier._expiring


def test_a_request_is_served_at_its_address():
    def fault(address, *server):
        return Verifier(KEY).fault(request(address), server)

    assert fault("localhost:8000", *HERE) is None
    assert fault("127.0.0.1:8000", "::ffff:127.0.0.1", 8000) is None
    assert fault("::1:8000", "::1", 8000) is None
    assert fault("10.0.0.7:8000", "10.0.0.7", 8000) is None
    for address, server in [
        ("127.0.0.1:8001", HERE),
        ("127.0.0.1:8000", ("10.0.0.7", 8000)),  # loopback of another machine
        ("10.0.0.6:8000", ("10.0.0.7", 8000)),
        ("no-such-host.invalid:8000", ("10.0.0.7", 8000)),
        ("127.0.0.1", HERE),
    ]:
        assert f"The request is for {address}, and this server is {server[0]}:8000" in fault(
            address, *server
        )


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one of another name and /etc/hosts."""

    def named(hostname, **hosts):
        def found(host, *_, **__):
            if host not in hosts:
                raise socket.gaierror(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (hosts[host], 0))]

        monkeypatch.setattr(mac.socket, "gethostname", lambda: hostname)
        monkeypatch.setattr(mac.socket, "getaddrinfo", found)
        mac._resolved.cache_clear()

    yield named
    mac._resolved.cache_clear()


def served(host, ip="10.0.0.7"):
    return Verifier(KEY).fault(request(f"{host}:8000"), (ip, 8000)) is None


@pytest.mark.parametrize("hostname", ["node7", "node7.a.example", "NODE7"])
def test_a_machines_own_name_may_lead_to_loopback_on_it(machine, hostname):
    machine(hostname, **dict.fromkeys(("node7", "Node7.a.example", "node7."), "127.0.1.1"))
    assert all(served(host) for host in ("node7", "Node7.a.example", "node7."))


def test_localhost_is_the_own_name_of_no_machine(machine):
    machine("localhost", **{"localhost": "127.0.0.1", "localhost.localdomain": "127.0.0.1"})
    assert not served("localhost")
    assert not served("localhost.localdomain")
    assert served("localhost", "127.0.0.1")


def test_machines_that_share_the_first_label_are_two(machine):
    machine("gpu1.b", **{"gpu1.a": "127.0.1.1", "gpu1.b": "127.0.1.1"})
    assert not served("gpu1.a")
    assert served("gpu1.b")
    machine("gpu1", **{"gpu1.a": "10.0.0.6"})
    assert not served("gpu1.a")  # this machine's name, but of another's address
    assert not served("gpu1.c")  # and a name that nobody knows here
