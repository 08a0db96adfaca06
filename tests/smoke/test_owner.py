"""Two starts on one folder, as people make them: one runs, the other ends with a message."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from commands import command, environment, sgg, sgg_ok

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.runs.exit_status import ENDING
from sgg.runs.lease import OWNERS, Lease, holder, newest
from sgg.runs.signature import sign_run

SFT = [
    *("stage=sft", "stage.global_batch=4", "stage.optimizer.kind=trl", "data.train.limit=64"),
    *("hardware.threads=1", "stage.args.logging_steps=1", "stage.args.save_steps=5"),
]
ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh")
"""Runs a command on a host of another name, with the same files."""


def steps(run_dir):
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}") and '"loss"' in line]


def started(folder, *words, on=()):
    return subprocess.Popen(
        [*on, *command(*words)],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true, process, limit_s=240):
    deadline = time.monotonic() + limit_s
    while not true():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_of_two_starts_one_trains_and_what_is_killed_is_resumed_at_once(tmp_path):
    run_dir = tmp_path / "run"
    words = [*SFT, "stage.args.max_steps=24", f"paths.run_dir={run_dir}"]
    both = [started(tmp_path, *words) for _ in range(2)]
    until(lambda: any(process.poll() is not None for process in both), both[0])
    both.sort(key=lambda process: process.poll() is None)
    refused, trains = both
    assert refused.returncode == 2
    assert f"sgg: {run_dir} is in use by process {trains.pid} on " in refused.communicate()[1]
    beside = sgg("resume", str(run_dir), cwd=tmp_path)
    assert beside.returncode == 2
    assert f"in use by process {trains.pid}" in beside.stderr
    until(lambda: len(steps(run_dir)) >= 7, trains)
    trains.kill()
    trains.communicate()
    done = sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert f"taken over from process {trains.pid} on " in done.stderr
    assert f"taken over from process {trains.pid} on " in (run_dir / "run.log").read_text()
    assert steps(run_dir) == list(range(1, 25))
    assert len(json.loads((run_dir / "provenance.json").read_text())["starts"]) == 2
    assert holder(run_dir) is None


@pytest.mark.slow
def test_folders_in_use_are_refused_whatever_is_started_in_them(tmp_path):
    """By a command for each kind of folder; nothing in the folder is changed."""
    config = compose_config(["debug=steps", f"paths.run_dir={tmp_path / 'run'}"])
    for name in ("run", "pipeline", "sweep"):
        (tmp_path / name).mkdir()
    write_frozen(config, tmp_path / "run" / FROZEN_NAME)
    sign_run(tmp_path / "run")
    node = [sys.executable, "-m", "launchers.node", str(tmp_path / "run" / FROZEN_NAME)]
    starts = {
        "run": [command("resume", str(tmp_path / "run")), node],
        "pipeline": [command("pipeline=sft_grpo_eval", f"paths.run_dir={tmp_path / 'pipeline'}")],
        "sweep": [
            command("-m", "debug=steps", "seed=0,1", f"paths.sweep_dir={tmp_path / 'sweep'}")
        ],
    }
    for name, commands in starts.items():
        with Lease(tmp_path / name):
            before = sorted((tmp_path / name).rglob("*"))
            for words in commands:
                done = subprocess.run(
                    words, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
                )
                assert done.returncode == 2, done.stderr[-3000:]
                assert f"{tmp_path / name} is in use by process {os.getpid()}" in done.stderr
                assert done.stderr.count("is in use") == 1
            assert sorted((tmp_path / name).rglob("*")) == before


@pytest.mark.slow
def test_sigterm_before_the_first_step_gives_all_folders_back(tmp_path):
    folder = tmp_path / "all"
    process = started(tmp_path, "pipeline=sft_grpo_eval", f"paths.run_dir={folder}")
    until(lambda: (folder / "sft" / "run.log").is_file(), process)
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGTERM, stderr[-3000:]
    assert "Traceback" not in stderr
    assert newest(folder).is_free
    assert newest(folder / "sft").is_free


def _can_be_elsewhere():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode == 0


elsewhere = pytest.mark.skipif(
    not _can_be_elsewhere(), reason="a host name of its own (unshare --uts) is not permitted here"
)


@pytest.mark.slow
@pytest.mark.thorough
@elsewhere
def test_a_run_on_another_host_is_left_alone_while_it_lives_and_taken_over_when_it_does_not(
    tmp_path,
):
    run_dir = tmp_path / "run"
    words = [*SFT, "stage.args.max_steps=60", f"paths.run_dir={run_dir}"]
    there = started(tmp_path, *words, on=ELSEWHERE)
    until(lambda: len(steps(run_dir)) >= 7, there)
    assert holder(run_dir).host == "elsewhere"
    beside = sgg("resume", str(run_dir), cwd=tmp_path)
    assert beside.returncode == 2
    assert "looking for up to 60 s whether it renews its lease" in beside.stderr
    assert f"in use by process {there.pid} on elsewhere" in beside.stderr
    there.kill()
    there.communicate()
    done = sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert "it has not renewed its lease for 60 s" in done.stderr
    assert steps(run_dir) == list(range(1, 61))


@pytest.mark.slow
@pytest.mark.thorough
@elsewhere
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_stood_still_and_was_taken_over_ends_when_it_is_woken(tmp_path, processes):
    """With two ranks it is the supervisor that ends, and the ranks with it."""
    run_dir = tmp_path / "run"
    words = [*SFT, "stage.args.max_steps=40", f"hardware.processes_per_node={processes}"]
    first = started(tmp_path, *words, f"paths.run_dir={run_dir}", on=ELSEWHERE)
    until(lambda: len(steps(run_dir)) >= 7, first)
    ranks = _children(first.pid) if processes > 1 else []
    for pid in (first.pid, *ranks):
        os.kill(pid, signal.SIGSTOP)
    second = started(tmp_path, "resume", str(run_dir))
    until(lambda: holder(run_dir).host != "elsewhere", second)
    for pid in (first.pid, *ranks):
        os.kill(pid, signal.SIGCONT)
    stderr = first.communicate(timeout=30)[1]
    assert first.returncode == 1
    assert f"{run_dir}: it belongs to process {second.pid} on " in stderr
    until(
        lambda: not any(_runs(pid) for pid in ranks), second
    )  # the system ends them a moment later
    assert second.wait(300) == 0, second.communicate()[1][-3000:]
    assert steps(run_dir) == list(range(1, 41))
    assert not (run_dir / ENDING).is_file() or "finished" in (run_dir / ENDING).read_text()
    assert len(list((run_dir / OWNERS).iterdir())) == 2


def _children(pid):
    return [child.pid for child in psutil.Process(pid).children()]


def _runs(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
