"""`make audit` against a server that responds as OSV does."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

AUDIT = Path(__file__).parents[1] / "audit.py"


def advisory(package):
    affected = [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": []}]
    return {"id": f"PYSEC-{package}", "summary": "bad", "affected": affected}


@pytest.fixture
def osv():
    """Starts a server with advisories of jinja2 2.10 and of all releases of these packages; its address."""
    servers = []

    def start(*packages, knows_old=True, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                asked = json.loads(self.rfile.read(length))
                name = asked["package"]["name"]
                is_old = (name, asked["version"]) == ("jinja2", "2.10")
                is_known = name in packages or (is_old and knows_old)
                found = {"vulns": [advisory(name)]} if is_known else {}
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1/query"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def audit(service):
    words = [sys.executable, str(AUDIT), "--service", service]
    return subprocess.run(words, capture_output=True, text=True)


def test_a_pinned_package_with_an_advisory_fails(osv):
    pytest.importorskip("pip_audit")
    done = audit(osv("pillow"))
    assert done.returncode == 1
    listed = [line.split()[0] for line in done.stdout.splitlines() if "PYSEC" in line]
    assert listed == ["pillow"]


def test_pinned_packages_without_advisories_pass(osv):
    pytest.importorskip("pip_audit")
    done = audit(osv())
    assert done.returncode == 0
    assert "No known vulnerabilities found" in done.stderr


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        ({"knows_old": False}, "has none of jinja2 2.10"),
        ({"status": 503}, "503"),
        (None, "Connection refused"),
    ],
)
def test_without_advisories_it_says_so(osv, served, reason):
    nobody = "http://127.0.0.1:9/v1/query"  # the port of a service that no machine offers today
    service = nobody if served is None else osv(**served)
    done = audit(service)
    assert done.returncode == 0
    assert done.stdout.startswith(f"advisories could not be had: {service}")
    assert reason in done.stdout
