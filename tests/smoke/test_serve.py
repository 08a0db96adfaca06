"""A real `sgg serve` of the tiny model on this machine, and evaluations that ask it."""

import json
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest
from commands import command, environment, sgg, sgg_ok
from fake_server import FakeServer

from sgg.chat_api.connection import SignedRequests
from sgg.config.model import Family
from sgg.errors import SggError

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
OFTEN = "qwen2_5_vl"
KEY = "open-sesame-open-sesame"
WAITING = ("OMP_WAIT_POLICY=passive", "OMP_DISPLAY_ENV=verbose")
"""How threads wait, and that OpenMP says it when torch is loaded."""
EVAL = ["stage=eval", "generate.max_new_tokens=40", "hardware.threads=1"]


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def is_spawned(process):
    with suppress(psutil.Error):
        return "multiprocessing.spawn" in " ".join(process.cmdline())
    return False


class Serving:
    """`sgg serve` on one port, which may be ended and started again."""

    def __init__(self, folder, family=OFTEN):
        self.family = family
        self.folder, self.port, self.published = folder, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self.process, self.kills = None, 0

    def launch(self):
        waiting = [f"hardware.environment.{word}" for word in WAITING]
        words = command("serve", f"model=tiny_{self.family}", "hardware.threads=1", *waiting)
        words.append(f"port={self.port}")
        words.append(f"address=127.0.0.1:{self.published}")
        told = environment(self.folder, SGG_SERVER_KEY=KEY, TMPDIR=str(self.folder))
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                words, cwd=self.folder, env=told, stdout=log, stderr=log
            )

    def start(self):
        self.launch()
        deadline = time.monotonic() + 300
        while not self.is_well():
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, "the server does not get there"
            time.sleep(0.5)

    def is_well(self):
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        return False

    def engine(self):
        """The engine's processes, from their start on."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.is_running() and is_spawned(child)]

    def kill(self):
        """SIGKILL; the engine's processes, which would be left behind, go too."""
        self.kills += 1
        family = [*psutil.Process(self.process.pid).children(recursive=True)]
        for process in (psutil.Process(self.process.pid), *family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextmanager
def served(folder, family=OFTEN):
    server = Serving(folder, family)
    try:
        server.start()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
    # told to end, it takes its model's folder along; one that was killed cannot
    assert len(list(server.folder.glob("sgg-serve-*"))) == server.kills


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    with served(tmp_path_factory.mktemp("serve")) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_whose_engine_loads(tmp_path_factory, number):
    folder = tmp_path_factory.mktemp("signal")  # short: vLLM keeps sockets there
    server = Serving(folder)
    server.launch()
    try:
        deadline = time.monotonic() + 240
        while not server.engine():
            assert server.process.poll() is None, server.log.read_text()[-4000:]
            assert time.monotonic() < deadline, "the engine does not start"
            time.sleep(0.1)
        time.sleep(1)  # it imports for much longer
        started = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(number)
        assert server.process.wait(60) == 128 + number
        _, left = psutil.wait_procs(started, timeout=10)
        assert not left
    finally:
        if server.process.poll() is None:
            server.kill()
    assert not list(folder.glob("sgg-serve-*"))


def asking(serving, run_dir, *more):
    where = [f"generate.servers=[{serving.url}]", "generate.api_key_env=SGG_SERVER_KEY"]
    where.append(f"paths.run_dir={run_dir}")
    return [*EVAL, "generate=server", *where, *more]


def lines(run_dir, rank=0):
    part = run_dir / "completions.parts" / f"rank{rank}.jsonl"
    return part.read_bytes().split(b"\n")[:-1] if part.is_file() else []


def test_completions_and_metrics_are_those_of_transformers(serving, tmp_path):
    check_completions_and_metrics(serving, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("family", [f for f in Family.__members__ if f != OFTEN])
def test_other_families_are_served_alike(family, tmp_path_factory, tmp_path):
    # not tmp_path: vLLM keeps sockets there, whose paths must be short
    with served(tmp_path_factory.mktemp("other"), family) as server:
        check_completions_and_metrics(server, tmp_path)


def check_completions_and_metrics(serving, tmp_path):
    metrics = {}
    words = [f"model=tiny_{serving.family}", "data.eval.limit=20"]
    for engine in ("hf", "server"):
        run_dir = tmp_path / engine
        where = (
            asking(serving, run_dir) if engine == "server" else [*EVAL, f"paths.run_dir={run_dir}"]
        )
        sgg_ok(*where, *words, cwd=tmp_path, SGG_SERVER_KEY=KEY)
        metrics[engine] = json.loads((run_dir / "metrics.json").read_text())
        del metrics[engine]["made_from"]["config_sha256"]  # of the two, which engine
    assert metrics["server"] == metrics["hf"]
    completions = [(tmp_path / engine / "completions.jsonl").read_bytes() for engine in metrics]
    assert completions[0] == completions[1]
    written = [path for path in (tmp_path / "server").rglob("*") if path.is_file()]
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert "is it the same model?" not in (tmp_path / "server" / "run.log").read_text()


def test_threads_wait_as_the_environment_of_its_profile_says(serving):
    told = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", serving.log.read_text())
    if not told:
        pytest.skip("torch's OpenMP here is not GNU's")
    assert set(told) == {"0"}


@pytest.mark.thorough
def test_two_processes_ask_the_same(serving, tmp_path):
    completions = []
    for processes in (1, 2):
        run_dir = tmp_path / str(processes)
        sampled = ["generate.temperature=1", "generate.num_completions=2", "data.eval.limit=10"]
        words = asking(serving, run_dir, *sampled, f"hardware.processes_per_node={processes}")
        sgg_ok(*words, cwd=tmp_path, SGG_SERVER_KEY=KEY)
        completions.append((run_dir / "completions.jsonl").read_bytes())
    assert completions[0] == completions[1]
    assert len(lines(tmp_path / "2", rank=1)) == 10


def test_nothing_but_completions_is_served_and_only_with_the_key(serving):
    with httpx.Client(base_url=serving.url, timeout=30) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.post("/v1/chat/completions", json={}).status_code == 401
        for path in ("/invocations", "/v1/completions", "/tokenize", "/scale_elastic_ep"):
            assert client.post(path, json={}).status_code == 404
        assert client.get("/metrics").status_code == 401
        signed = SignedRequests(KEY, serving.url, "")
        assert client.get("/v1/models", auth=signed).is_success
        assert client.post("/v1/chat/completions", json={}, auth=signed).status_code == 400
        client.headers["Authorization"] = f"Bearer {KEY}"
        listing = client.get("/v1/models", headers={"Origin": "http://elsewhere.example"})
        assert (
            "access-control-allow-origin" not in listing.headers
        )  # no page of a browser may read it
        (model,) = listing.json()["data"]
        assert (model["id"], model["owned_by"]) == ("tiny_qwen2_5_vl", "vllm")
        elsewhere = {"type": "image_url", "image_url": {"url": f"{serving.url}/health"}}
        chat = {"messages": [{"role": "user", "content": [elsewhere]}]}
        refused = client.post("/v1/chat/completions", json=chat)
        assert refused.status_code == 400
        assert "allowed domains" in refused.text
    assert KEY not in " ".join(psutil.Process(serving.process.pid).cmdline())
    assert KEY not in serving.log.read_text()


class Forwarding(socketserver.BaseRequestHandler):
    """A published port: what comes goes to another port, byte for byte."""

    def handle(self):
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            there, back = (self.request, behind), (behind, self.request)
            copying = [threading.Thread(target=self.copy, args=pair) for pair in (there, back)]
            for thread in copying:
                thread.start()
            for thread in copying:
                thread.join()

    def copy(self, source, target):
        with suppress(OSError):
            while block := source.recv(1 << 16):
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)


def test_a_published_port_is_the_servers_where_it_was_told_so(serving):
    for port in (serving.published, free_port()):
        url = f"http://127.0.0.1:{port}"
        signed = SignedRequests(KEY, url, "")
        with socketserver.ThreadingTCPServer(("127.0.0.1", port), Forwarding) as outside:
            outside.behind = serving.port
            threading.Thread(target=outside.serve_forever, args=(0.01,), daemon=True).start()
            with httpx.Client(base_url=url, timeout=30, auth=signed) as client:
                if port == serving.published:
                    assert client.get("/v1/models").is_success
                    assert client.post("/v1/chat/completions", json={}).status_code == 400
                else:
                    told = f"The request is for 127.0.0.1:{port}.* with address=127.0.0.1:{port} "
                    with pytest.raises(SggError, match=told):
                        client.get("/v1/models")
            outside.shutdown()


@pytest.mark.parametrize("key", [None, "of somebody else"])
def test_who_has_taken_a_servers_port_sees_neither_key_nor_images(tmp_path, key):
    squatter = FakeServer(key=key)
    done = sgg(*asking(squatter, tmp_path / "run"), cwd=tmp_path, SGG_SERVER_KEY=KEY)
    squatter.end()
    assert done.returncode == 2
    assert f"{squatter.url} does not prove that it has the key, which was not sent" in done.stderr
    assert KEY not in str(squatter.shown)
    assert (len(squatter.shown), squatter.bodies) == (1, [])


@pytest.mark.thorough
def test_a_killed_server_ends_the_run_with_a_message_and_another_one_finishes_it(serving, tmp_path):
    more = ["generate.temperature=1", "generate.batch_size=8", "data.eval.limit=150"]
    whole, run_dir = tmp_path / "whole", tmp_path / "killed"
    sgg_ok(*asking(serving, whole, *more), cwd=tmp_path, SGG_SERVER_KEY=KEY)
    run = subprocess.Popen(
        command(*asking(serving, run_dir, *more, "generate.request_timeout_s=60")),
        cwd=tmp_path,
        env=environment(tmp_path, SGG_SERVER_KEY=KEY),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while len(lines(run_dir)) < 20:
        assert run.poll() is None, run.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "the run does not get there"
        time.sleep(0.01)
    serving.kill()
    _, said = run.communicate(timeout=120)
    assert run.returncode == 2
    assert f"No server is left of generate.servers=[{serving.url}]; last error: " in said
    assert f"sgg resume {run_dir}" in said
    assert "Traceback" not in said
    written = lines(run_dir)
    assert 20 <= len(written) < 150
    serving.start()
    sgg_ok("resume", str(run_dir), cwd=tmp_path, SGG_SERVER_KEY=KEY)
    assert lines(run_dir)[: len(written)] == written
    assert len(lines(run_dir)) == 150  # nothing was generated twice
    assert (run_dir / "completions.jsonl").read_bytes() == (
        whole / "completions.jsonl"
    ).read_bytes()
