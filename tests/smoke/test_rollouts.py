"""GRPO with completions by real vLLM here: the trainer's weights and log-probabilities, or a message."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from commands import environment, sgg
from narrow_models import tempt
from PIL import Image
from safetensors.torch import load_file

from sgg.chat_api.connection import SignedRequests
from sgg.chat_api.mac import RESPONSE_HEADER, SignedRequest, Verifier
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.config.hardware import SERVER_KEY_VARIABLE, SERVERS_VARIABLE
from sgg.config.model import Family
from sgg.inference.vllm.middleware import RolloutAccess
from sgg.models.families import FAMILIES as RECORDS
from sgg.models.narrow import narrow_folder
from sgg.models.weights import locate
from sgg.runs.folder import read_json_lines
from sgg.runs.signature import sign_run

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
OFTEN = "qwen2_5_vl"
FAMILIES = [
    OFTEN,
    *(pytest.param(f, marks=pytest.mark.thorough) for f in Family.__members__ if f != OFTEN),
]
TESTS = Path(__file__).parents[1]
KEY = "a key for tests"
DIFFERENCE = "sampling/sampling_logp_difference/max"
STEPS = 6
# two images, both in every step, a learning rate that moves all weights, the vision tower's too
WORDS = [
    "stage=grpo",
    "hardware.rollout.max_length=1024",
    "data.train.limit=2",
    f"stage.args.max_steps={STEPS}",
    "stage.prompts_per_step=2",
    "stage.args.num_generations=4",
    "stage.args.max_completion_length=40",
    "stage.args.learning_rate=2e-3",
    "stage.args.warmup_steps=0",
    "++reward.terms.vowels.import_path=own_reward:vowels",
    "++reward.terms.vowels.weight=1",
]


def frozen(folder, *words):
    """The frozen config of a run in a folder of its own."""
    folder.mkdir(exist_ok=True)
    config = compose_config([*WORDS, *words, f"paths.run_dir={folder}"])
    write_frozen(config, folder / FROZEN_NAME)
    sign_run(folder)
    return folder / FROZEN_NAME


def variables(folder, **more):
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return environment(folder, PYTHONPATH=path, **more)


def rank(config, *words, timeout=400, **more):
    """The finished rank."""
    return subprocess.run(
        [sys.executable, str(TESTS / "rollout_rank.py"), str(config), *words],
        env=variables(config.parent, **more),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def rows(config):
    return [r for r in read_json_lines(config.parent / "metrics.jsonl") if "loss" in r]


def rewards(config):
    """Of the first steps: at this learning rate rounding changes a draw in the sixth or so."""
    return [row["reward/total/mean"] for row in rows(config)[:4]]


def pushes(done):
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"vllm"')]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers_health(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


class Server:
    """A rollout server as the supervisor starts it, killed by pid and with all it started."""

    def __init__(self, config, port, key):
        self.config, self.port, self.key = config, port, key
        self.start()

    def start(self):
        words = [f"server{self.port}", f"127.0.0.1:{self.port}"]
        with (self.config.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sgg.rollout.server", str(self.config), *words],
                env=variables(self.config.parent, **{SERVER_KEY_VARIABLE: self.key}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self):
        end = time.monotonic() + 240
        while not answers_health(self.port):
            assert self.process.poll() is None, (self.config.parent / "server.log").read_text()[
                -3000:
            ]
            assert time.monotonic() < end
            time.sleep(0.2)
        return self

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(config, key=KEY):
    server = Server(config, free_port(), key)
    try:
        yield server.ready()
    finally:
        server.kill()


def check_learning(config, done, family):
    """Log-probabilities agree on every step, greedy completions on every push, and the vision tower moved."""
    said = pushes(done)
    assert len(said) == STEPS
    assert all(push["vllm"] == push["trainer"] for push in said)
    assert len({tuple(push["vllm"]) for push in said}) >= 3
    differences = [row[DIFFERENCE] for row in rows(config)]
    assert len(differences) == STEPS
    assert max(differences) < 1e-3
    assert sum(row["grad_norm"] > 0 for row in rows(config)) == STEPS
    start = load_file(locate(f"tiny_{family}") / "model.safetensors")
    end = load_file(config.parent / "model" / "model.safetensors")
    moved = [k for k in end if "visual" in k and not start[k].equal(end[k])]
    assert len(moved) > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_colocated_completions_are_the_trainers_own(tmp_path, family):
    config = frozen(tmp_path / "run", f"model=tiny_{family}", "hardware.rollout.mode=colocate")
    check_learning(config, rank(config, "greedy"), family)
    assert not (tmp_path / "run" / "vllm_model").exists()


SIZES = [(900, 700), (1000, 50), (20, 20), (120, 90), (50, 1000)]
"""Shrunk to the pixel limit, thin, at the least size, below the limit, thin and high."""


def photos(folder):
    """A data set of images whose sizes and colours differ."""
    folder.mkdir()
    lines = []
    random = np.random.default_rng(0)
    for place, (width, height) in enumerate(SIZES):
        blocks = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        blocks.resize((width, height), Image.Resampling.NEAREST).save(folder / f"{place}.png")
        objects = [{"id": "cup.1", "bbox": [0, 0, width, height]}]
        objects.append({"id": "dish.1", "bbox": [0, 0, width // 2, height // 2]})
        relations = [{"subject": "cup.1", "predicate": "on", "object": "dish.1"}]
        image = {"image": f"{place}.png", "width": width, "height": height}
        lines.append(json.dumps(image | {"objects": objects, "relationships": relations}))
    (folder / "annotations.jsonl").write_text("\n".join(lines))
    return folder


def of_sizes(folder, family, *words):
    """Rows of three steps with all sizes in one batch."""
    root = photos(folder / "photos")
    config = frozen(
        folder / "run",
        *("hardware.rollout.mode=colocate", "hardware.rollout.max_logp_difference=100"),
        *(f"model=tiny_{family}", "model.min_pixels=3136", "model.max_pixels=50176"),
        *("data=jsonl", f"data.root={root}", "prompt=open", f"data.train.limit={len(SIZES)}"),
        *(f"stage.prompts_per_step={len(SIZES)}", "stage.micro_batch=10"),
        *("stage.args.num_generations=2", "stage.args.max_steps=3"),
    )
    done = rank(config, *words)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(rows(config)) == 3
    return rows(config)


@pytest.mark.parametrize("family", FAMILIES)
def test_completions_of_images_of_different_sizes_are_of_their_images(tmp_path, family):
    found = of_sizes(tmp_path, family)
    assert max(row[DIFFERENCE] for row in found) < 1e-3
    assert max(row["grad_norm"] for row in found) > 0


@pytest.mark.thorough
@pytest.mark.parametrize("family", Family.__members__)
def test_log_probabilities_part_where_vllm_has_images_in_another_order(tmp_path, family):
    assert min(row[DIFFERENCE] for row in of_sizes(tmp_path, family, "swaps_images")) > 0.1


@pytest.mark.thorough
def test_ids_without_a_token_are_neither_sampled_nor_scored(tmp_path):
    """With a head that prefers them: the trainer's log-probabilities are those of vLLM's samples."""
    narrow = narrow_folder(RECORDS[Family.qwen2_5_vl], tmp_path / "narrow")
    tempt(narrow, tmp_path / "tempting")
    words = [f"model.path={tmp_path / 'tempting'}", "stage.args.max_steps=3"]
    words += ["stage.args.max_completion_length=12", "stage.args.learning_rate=1e-4"]
    config = frozen(tmp_path / "run", "hardware.rollout.mode=colocate", *words)
    done = rank(config, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(rows(config)) == 3
    assert max(row[DIFFERENCE] for row in rows(config)) < 1e-3
    samples = read_json_lines(config.parent / "samples.jsonl")
    assert samples
    assert all(sample["text"] for sample in samples)  # an id without a token is no text


@pytest.mark.thorough
@pytest.mark.parametrize("cure", ["expands_twice", "keeps_image_features"])
def test_without_a_cure_log_probabilities_part(tmp_path, cure):
    """The probe says so at once; a run that is blind to it is stopped by what it sampled."""
    config = frozen(tmp_path / "run", "hardware.rollout.mode=colocate")
    done = rank(config, cure)
    assert done.returncode != 0
    assert "vLLM does not have the trainer's weights" in done.stderr
    words = ["hardware.rollout.mode=colocate", "hardware.rollout.max_logp_difference=100"]
    config = frozen(tmp_path / "blind", *words)
    done = rank(config, cure, "blind")
    assert done.returncode == 0, done.stderr[-4000:]
    assert max(row[DIFFERENCE] for row in rows(config)) > 0.1


def test_a_run_that_learns_nothing_stops_in_words(tmp_path):
    config = frozen(tmp_path / "run", "hardware.rollout.mode=colocate")
    done = rank(config, "expands_twice", "blind")
    assert done.returncode != 0
    assert "hardware.rollout.max_logp_difference=0.3" in done.stderr
    assert not rows(config)


class Spoiler(BaseHTTPRequestHandler):
    """Hands requests on to the server, signed anew with its key, and kills it at the one that it is told."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._pass_on(None)

    def do_POST(self):
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _pass_on(self, body):
        self.server.spoil(self.path)
        asked_here = Verifier(KEY).signed(
            self.command, self.path, self.headers["Authorization"].encode()
        )
        behind = f"127.0.0.1:{self.server.behind}"
        handed_on = SignedRequest.new(
            self.command, self.path, behind, asked_here.start, body or b""
        )
        headers = {"Authorization": handed_on.header(KEY)}
        if self.headers["Content-Type"]:
            headers["Content-Type"] = self.headers["Content-Type"]
        url = f"http://{behind}{self.path}"
        try:
            asked = urllib.request.Request(url, body, headers, method=self.command)
            with urllib.request.urlopen(asked, timeout=120) as response:
                status, content, names = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, content, names = error.code, error.read(), error.headers
        except OSError:
            self.close_connection = True
            return
        self.send_response(status)
        shown = names[RESPONSE_HEADER] or ""
        if start := handed_on.responding_start(KEY, shown, status, content):
            header = asked_here.response_header(KEY, start, status, content)
            self.send_header(RESPONSE_HEADER, header)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@contextmanager
def spoiling(server, path, at, restart):
    """An address before the server; the server dies while the `at`-th request of a path is on its way."""
    seen = []

    def spoil(asked):
        if asked.startswith(path):
            seen.append(asked)
            if len(seen) in at:
                server.kill()
                if restart:
                    server.start()

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Spoiler)
    proxy.behind, proxy.spoil = server.port, spoil
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            SERVERS_VARIABLE: f"http://127.0.0.1:{proxy.server_address[1]}",
            SERVER_KEY_VARIABLE: KEY,
        }
    finally:
        proxy.shutdown()
        proxy.server_close()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_servers_completions_are_the_trainers_own(tmp_path, family):
    """And those of a colocated engine: the same rewards, step by step."""
    config = frozen(tmp_path / "run", f"model=tiny_{family}", "hardware.rollout.mode=server")
    with serving(config) as server:
        assert_keyed(server.port)
        address = {SERVERS_VARIABLE: f"http://127.0.0.1:{server.port}", SERVER_KEY_VARIABLE: KEY}
        check_learning(config, rank(config, "greedy", **address), family)
        if family == OFTEN:
            beside = frozen(tmp_path / "beside", "hardware.rollout.mode=colocate")
            assert rank(beside).returncode == 0
            assert rewards(beside) == pytest.approx(rewards(config), abs=2e-4)
            stale = frozen(tmp_path / "stale", "hardware.rollout.mode=server")
            done = rank(stale, "keeps_image_features", **address)
            assert "vLLM does not have the trainer's weights" in done.stderr


def assert_keyed(port):
    """Without the key nobody generates, and nobody replaces weights; with it, vLLM has all that is listed."""
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30) as client:
        assert client.get("/v1/models", auth=SignedRequests(KEY, url, "")).is_success
        for path in RolloutAccess.endpoints:
            assert client.get(path).status_code == 401
            response = client.get(path, headers={"Authorization": f"Bearer {KEY}"})
            assert response.status_code in (200, 405)  # known, and for some the wrong method
        for path in ("/v1/completions", "/v1/chat/completions", "/pause", "/metrics"):
            assert client.get(path, headers={"Authorization": f"Bearer {KEY}"}).status_code == 404


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Rewards of the run that nobody disturbs."""
    config = frozen(tmp_path_factory.mktemp("calm") / "run", "hardware.rollout.mode=colocate")
    assert rank(config).returncode == 0
    return rewards(config)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("during", "at"), [("/v1/models", 1), ("/inference/v1/generate", 5), ("/collective_rpc", 5)]
)
def test_a_server_that_dies_is_joined_again_and_pushed_to(tmp_path, during, at, undisturbed):
    """Killed before anything, while it generates, or takes weights: the run ends as if nothing had been."""
    config = frozen(tmp_path / "run", "hardware.rollout.mode=server")
    with serving(config) as server, spoiling(server, during, {at}, restart=True) as address:
        done = rank(config, **address)
    assert done.returncode == 0, done.stderr[-4000:]
    assert rewards(config) == pytest.approx(undisturbed, abs=2e-4)
    log = (tmp_path / "run" / "run.log").read_text()
    assert ("Waiting for it to come back, once." in log) == (at > 1)


@pytest.mark.thorough
def test_a_server_that_stays_away_ends_the_run_with_a_message(tmp_path):
    words = ["hardware.rollout.mode=server", "hardware.rollout.startup_timeout_s=5"]
    config = frozen(tmp_path / "run", *words)
    with serving(config) as server, spoiling(server, "/inference", {3}, restart=False) as address:
        done = rank(config, timeout=120, **address)
        server.start()  # for `serving` to end
    assert done.returncode != 0
    assert "Rollout server: " in done.stderr
    assert "logs/server*.log" in done.stderr


@pytest.mark.thorough
def test_the_supervisor_starts_a_dead_server_again(tmp_path):
    """Found by its address among this run's processes, and killed once the ranks train."""
    config = frozen(tmp_path / "run", "hardware.rollout.mode=server", "stage.args.max_steps=8")
    with subprocess.Popen(
        [sys.executable, "-m", "launchers.node", str(config)],
        env=variables(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        killed = kill_server_after(tmp_path / "run", steps=2)
        _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said[-3000:]
    assert killed
    assert "Starting it again" in said
    assert rows(config)[-1]["step"] == 8


def kill_server_after(run_dir, steps):
    import psutil

    end = time.monotonic() + 200
    while time.monotonic() < end:
        if len(read_json_lines(run_dir / "metrics.jsonl")) >= steps:
            for process in psutil.process_iter(["pid", "cmdline"]):
                line = process.info["cmdline"] or []
                if "sgg.rollout.server" in line and str(run_dir / FROZEN_NAME) in line:
                    os.kill(process.info["pid"], signal.SIGKILL)
                    return True
        time.sleep(0.1)
    return False


def test_a_slow_server_is_told(tmp_path):
    done = sgg(
        *(w for w in WORDS if "vowels" not in w),
        "hardware.rollout.mode=server",
        "hardware.rollout.startup_timeout_s=1",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "hardware.rollout.startup_timeout_s=1" in done.stderr
    assert "logs/server*.log" in done.stderr


@pytest.mark.thorough
def test_two_ranks_draw_what_one_does(tmp_path, undisturbed):
    words = ["hardware.rollout.mode=colocate", "hardware.processes_per_node=2"]
    config = frozen(tmp_path / "run", *words)
    done = subprocess.run(
        [sys.executable, "-m", "launchers.node", str(config)],
        env=variables(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert max(row[DIFFERENCE] for row in rows(config)) < 1e-3
    assert rewards(config) == pytest.approx(undisturbed, abs=2e-4)


@pytest.mark.thorough
def test_a_resumed_run_draws_what_an_undisturbed_one_does(tmp_path):
    words = ["stage.args.save_steps=2", "stage.keep_checkpoints=3"]
    config = frozen(tmp_path / "run", "hardware.rollout.mode=colocate", *words)
    assert rank(config).returncode == 0
    whole = rewards(config)
    for done in ("model", "checkpoint-4", "checkpoint-6"):
        shutil.rmtree(tmp_path / "run" / done, ignore_errors=True)
    done = rank(config)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "going on from checkpoint-2" in (tmp_path / "run" / "run.log").read_text()
    assert rewards(config) == pytest.approx(whole, abs=2e-4)


@contextmanager
def address_of_server(config, mode):
    """What a rank must know of a server, where it needs one."""
    if mode == "colocate":
        yield {}
        return
    with serving(config) as server:
        yield {SERVERS_VARIABLE: f"http://127.0.0.1:{server.port}", SERVER_KEY_VARIABLE: KEY}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("mode", "precision"),
    [("colocate", "fp32"), ("server", "fp32"), ("colocate", "bf16"), ("server", "bf16")],
)
def test_a_hundred_pushes_of_an_adapter_leave_the_base_alone(tmp_path, mode, precision):
    words = [f"hardware.rollout.mode={mode}", f"hardware.precision={precision}"]
    more = ["model.lora.enable=true", "stage.args.max_steps=2", "stage.args.beta=0.04"]
    config = frozen(tmp_path / "run", *words, *more)
    with address_of_server(config, mode) as address:
        done = rank(config, "updates=100", timeout=1200, **address)
    assert done.returncode == 0, done.stderr[-4000:]
    (said,) = (json.loads(x) for x in done.stdout.splitlines() if x.startswith('{"base"'))
    assert said["base"] > 50
    assert said["changed"] == []
    if precision == "fp32":
        assert said["completions"] > 10
        assert said["apart"] == 0
        assert max(row[DIFFERENCE] for row in rows(config)) < 1e-3


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["deepspeed=zero2", "deepspeed=zero3", "fsdp=full_shard"])
def test_an_adapter_on_shared_out_weights_is_pushed_merged(tmp_path, way):
    config = frozen(
        tmp_path / "run",
        *("hardware.rollout.mode=colocate", "model.lora.enable=true", way),
        *("hardware.processes_per_node=2", "hardware.threads=1", "stage.args.max_steps=3"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "launchers.node", str(config)],
        env=variables(tmp_path),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(rows(config)) == 3
    assert max(row[DIFFERENCE] for row in rows(config)) < 1e-3


@pytest.mark.thorough
def test_two_servers_share_the_prompts(tmp_path, undisturbed):
    config = frozen(tmp_path / "run", "hardware.rollout.mode=server")
    with serving(config, "one key") as one, serving(config, "another") as other:
        addresses = ",".join(f"http://127.0.0.1:{s.port}" for s in (one, other))
        keys = ",".join(s.key for s in (one, other))
        done = rank(config, **{SERVERS_VARIABLE: addresses, SERVER_KEY_VARIABLE: keys})
    assert done.returncode == 0, done.stderr[-4000:]
    assert max(row[DIFFERENCE] for row in rows(config)) < 1e-3
    assert rewards(config) == pytest.approx(undisturbed, abs=2e-4)
