"""Whether a server can be reached: told in time, by the way that its client would take."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from nowhere import NOWHERE

from sgg.tracking.reach import LIMIT_S, out_of_reach


class Answering(ThreadingHTTPServer):
    """A server, or a proxy, that answers everything with one code and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, code):
        super().__init__(("127.0.0.1", 0), Handler)
        self.code, self.asked = code, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        self.send_response(self.server.code)
        self.end_headers()

    def do_CONNECT(self):
        self.do_GET()

    def log_message(self, *args):
        """Nothing is printed."""


@contextmanager
def answering(code):
    server = Answering(code)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("kind", NOWHERE)
def test_nobody_there_is_told_in_time(kind):
    with NOWHERE[kind]() as address:
        started = time.monotonic()
        assert out_of_reach(address)
        assert time.monotonic() - started < LIMIT_S + 1


@pytest.mark.parametrize("code", [200, 401, 404, 500])
def test_any_answer_of_the_server_will_do(code):
    with answering(code) as server:
        assert out_of_reach(server.address) is None


def test_a_gateway_that_does_not_reach_the_server():
    with answering(503) as server:
        assert "HTTP 503" in out_of_reach(server.address)


def test_what_is_no_address():
    assert "unknown url type" in out_of_reach("api.wandb.ai")


def test_something_that_is_no_server_of_pages():
    def greet(listening):
        other, _ = listening.accept()
        other.sendall(b"220 mail\r\n")
        other.close()

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        threading.Thread(target=greet, args=(listening,), daemon=True).start()
        assert out_of_reach(f"http://127.0.0.1:{listening.getsockname()[1]}")


@pytest.mark.parametrize("given", ["by the environment", "by wandb's settings"])
def test_the_way_leads_through_the_proxy(monkeypatch, given):
    """The name is the proxy's to look up; that it refuses is reported."""
    with answering(200) as proxy:
        proxies = {"http": proxy.address} if given == "by wandb's settings" else {}
        if not proxies:
            monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert out_of_reach("http://no-such-host.invalid/", proxies) is None
        assert proxy.asked == [("GET", "http://no-such-host.invalid/")]
    with answering(403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        assert "403" in out_of_reach("https://no-such-host.invalid/")
        assert proxy.asked == [("CONNECT", "no-such-host.invalid:443")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_python_does_not_know_is_the_clients_affair(tmp_path):
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", tmp_path / "key", "-out", tmp_path / "certificate"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with answering(200) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        assert out_of_reach(server.address.replace("http:", "https:")) is None


SILENT_DNS = """
mount --bind "$1/resolv.conf" /etc/resolv.conf && shift && exec "$@"
"""
ASK = """
import socket, sys, time
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.77", 53))
from sgg.tracking.reach import out_of_reach
started = time.monotonic()
print(out_of_reach("https://api.wandb.ai"), time.monotonic() - started, sep="|", flush=True)
import os
os._exit(0)
"""


def test_names_that_nobody_looks_up(tmp_path):
    """A name server that does not answer, which the system asks for ten seconds and more."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    away = ["unshare", "--mount", "sh", "-c", SILENT_DNS, "sh", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run([*away, "true"]).returncode:
        pytest.skip(
            "a name server of its own (unshare --mount, mount --bind) is not permitted here"
        )
    done = subprocess.run(
        [*away, sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=60
    )
    problem, took_s = done.stdout.split("|")
    assert problem == f"no answer within {LIMIT_S:g} s"
    assert float(took_s) < LIMIT_S + 1
