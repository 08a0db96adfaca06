"""What a W&B server holds of a run that was killed and resumed, tracked online or uploaded later.

The client is wandb's own; the server is as much of one as that needs (tests/wandb_server.py).
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from commands import command, environment, sgg_ok
from wandb_files import history
from wandb_server import serving

from sgg.tracking.state import failure_note, tracker_run_id

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

SCRIPT = """
import logging, sys, time
from pathlib import Path
from PIL import Image
from sgg.config.compose import compose_config
from sgg.tracking.open import tracking
logging.basicConfig(level=logging.INFO)
run_dir, offset, steps = Path(sys.argv[1]), float(sys.argv[2]), map(int, sys.argv[3].split(","))
run_dir.mkdir(exist_ok=True)
config = compose_config(["tracker=wandb"])
with tracking(config, run_dir) as tracker:
    for step in steps:
        tracker.log({"loss": step + offset}, step)
    if len(sys.argv) > 4:
        tracker.table("eval/samples", ["image"], [[Image.new("RGB", (8, 8))]])
    if offset == 0:
        print("logged", flush=True)
        time.sleep(600)  # until it is killed
"""


@pytest.fixture
def server():
    with serving() as server:
        yield server


def start(server, run_dir, offset, steps, *more, **environment):
    """A process that tracks these steps; its loss is step + offset."""
    words = [str(run_dir), str(offset), ",".join(map(str, steps)), *more]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        env={**os.environ, **server.environment, "HOME": str(run_dir.parent), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(child):
    said = child.communicate(timeout=300)[0]
    assert child.returncode == 0, said
    assert "failed" not in said
    return said


def killed(child, when=lambda: True):
    assert child.stdout.readline()  # it has begun
    while child.stdout.readline() not in ("logged\n", ""):
        pass
    deadline = time.monotonic() + 60
    while not when() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)


def upload(server, folder):
    """What the tracker tells people to do."""
    files = sorted(folder.glob("wandb/offline-run-*"))
    environment = {**os.environ, **server.environment, "HOME": str(folder.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", *map(str, files)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Failed" not in done.stderr


def test_online_a_run_that_was_killed_goes_on_behind_what_the_server_has(server, tmp_path):
    """Steps 3 and 4 are made twice: the server cannot take them back, and none is there twice or missing."""
    run_dir = tmp_path / "run"
    child = start(server, run_dir, 0, [1, 2, 3, 4])
    run = lambda: server.runs.get(tracker_run_id(run_dir))  # noqa: E731
    killed(child, when=lambda: run() is not None and len(run().lines) >= 3)
    told = run().steps
    finished(start(server, run_dir, 0.5, [1, 2, 3, 4, 5, 6]))
    assert run().steps == [1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in run().history] == [
        step + 0.5 * (step not in told) for step in run().steps
    ]
    assert run().exit_code == 0
    assert len(server.runs) == 1


def test_offline_files_arrive_as_one_run(server, tmp_path):
    """Killed, resumed, uploaded: every step once, with the values that the run resumed from."""
    run_dir = tmp_path / "run"
    killed(start(server, run_dir, 0, [1, 2, 3, 4], WANDB_MODE="offline"))
    finished(start(server, run_dir, 0.5, [1, 2, 3, 4, 5], "pictures", WANDB_MODE="offline"))
    upload(server, run_dir)
    [(name, run)] = server.runs.items()
    assert name == tracker_run_id(run_dir)
    assert [(r["_step"], r["loss"]) for r in run.history] == [(s, s + 0.5) for s in range(1, 6)]
    assert run.summary["loss"] == 5.5
    assert len(server.artifacts) == 1


@pytest.mark.thorough
def test_uploaded_between_two_starts(server, tmp_path):
    """What was uploaded stays as it is, and what comes after follows it under its own number."""
    run_dir = tmp_path / "run"
    finished(start(server, run_dir, 0.25, [1, 2, 3, 4], WANDB_MODE="offline"))
    upload(server, run_dir)
    finished(start(server, run_dir, 0.5, [1, 2, 3, 4, 5], WANDB_MODE="offline"))
    upload(server, run_dir)
    [run] = server.runs.values()
    assert [(r["_step"], r["loss"]) for r in run.history] == [
        *((s, s + 0.25) for s in range(1, 5)),
        (5, 5.5),
    ]
    files = sorted(run_dir.glob("wandb/offline-run-*/*.wandb"))
    assert [row["_step"] for file in files for row in history(file)] == [1, 2, 3, 4, 5]


@pytest.mark.thorough
def test_offline_first_and_online_later(server, tmp_path):
    """The server gets the whole history, also what an offline start had kept to itself."""
    run_dir = tmp_path / "run"
    finished(start(server, run_dir, 0.25, [1, 2, 3], WANDB_MODE="offline"))
    finished(start(server, run_dir, 0.5, [1, 2, 3, 4]))
    [run] = server.runs.values()
    assert [(r["_step"], r["loss"]) for r in run.history] == [(s, s + 0.5) for s in range(1, 5)]


@pytest.mark.thorough
def test_a_network_that_dies_holds_no_run_back_and_what_is_missing_arrives_later(server, tmp_path):
    """A training whose server goes away while it trains, and comes back after its end."""
    run_dir = tmp_path / "run"
    words = ["stage=sft", "stage.global_batch=4", "stage.optimizer.kind=trl", "data.train.limit=64"]
    words += ["hardware.threads=1", "stage.args.logging_steps=1", "stage.args.max_steps=100"]
    more = {**server.environment, "HOME": str(tmp_path), "WANDB_FINISH_TIMEOUT": "3"}
    child = subprocess.Popen(
        command(*words, "tracker=wandb", f"paths.run_dir={run_dir}"),
        cwd=tmp_path,
        env=environment(tmp_path, **more),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not any(run.lines for run in server.runs.values()):
        assert child.poll() is None, child.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "nothing arrives"
        time.sleep(0.05)
    server.is_down = True
    [run] = server.runs.values()
    assert len(run.steps) < 100, "all has arrived before the server was gone"
    stderr = child.communicate(timeout=300)[1]
    assert child.returncode == 0, stderr[-3000:]
    completed = (run_dir / "model" / "whole.json").stat().st_mtime
    assert time.time() - completed < 15
    assert "failed at the end of the run" in stderr
    assert f"What is missing is handed over by: sgg resume {run_dir}" in stderr
    server.is_down = False
    sgg_ok("resume", str(run_dir), cwd=tmp_path, **more)
    [run] = server.runs.values()
    assert run.steps == list(range(1, 101))
    assert failure_note(run_dir) is None


DOWN = """
import logging, sys, time
from pathlib import Path
from PIL import Image
from sgg.config.compose import compose_config
from sgg.tracking.open import tracking
logging.basicConfig(level=logging.INFO)
run_dir = Path(sys.argv[1])
(run_dir / "model").mkdir(parents=True)
with tracking(compose_config(["tracker=wandb"]), run_dir) as tracker:
    tracker.log({"loss": 1.0}, 1)
    print("logged", flush=True)
    sys.stdin.readline()  # until the server is gone
    begun = time.monotonic()
    tracker.log({"loss": 2.0}, 2)
    tracker.table("samples/fixed", ["image"], [[Image.new("RGB", (8, 8))]])
    tracker.log({"loss": 3.0}, 3)
    print("waited", time.monotonic() - begun, flush=True)
    tracker.model(run_dir / "model")
print("ended", time.monotonic() - begun, flush=True)
"""


def test_neither_pictures_nor_the_model_wait_for_a_server_that_is_gone(server, tmp_path):
    """By itself wandb would try for 20 s each time, and training would stand still."""
    run_dir = tmp_path / "run"
    more = {"HOME": str(tmp_path), "WANDB_FINISH_TIMEOUT": "3", "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", DOWN, str(run_dir)],
        env={**os.environ, **server.environment, **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert any(line == "logged\n" for line in child.stdout)
    server.is_down = True
    said = child.communicate("\n", timeout=120)[0]
    assert child.returncode == 0, said
    took = {
        line.split()[0]: float(line.split()[1])
        for line in said.splitlines()
        if line.startswith(("waited ", "ended "))
    }
    assert took["waited"] < 5
    assert took["ended"] < 15
    assert "step 2: wandb does not get the table samples/fixed" in said
    assert "failed at the end of the run" in failure_note(run_dir)


def test_a_proxy_is_the_way_to_the_server(server, tmp_path):
    """The server's name is known to the proxy alone, which here is the server itself."""
    run_dir = tmp_path / "run"
    proxy = {"HTTP_PROXY": f"http://127.0.0.1:{server.server_port}"}
    told = {**proxy, "WANDB_BASE_URL": "http://no-such-host.invalid"}
    said = finished(start(server, run_dir, 0.5, [1, 2, 3], **told))
    assert "offline" not in said
    [run] = server.runs.values()
    assert run.steps == [1, 2, 3]
