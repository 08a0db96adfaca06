"""`sgg -m` on this machine: processes of their own, failures that hide nobody, stopping and resuming."""

import json
import re
import signal
import subprocess
import time

import pytest
from broken_models import MISMATCH, unloadable
from commands import command, environment, sgg, sgg_ok

pytestmark = pytest.mark.slow

WORDS = [
    *("-m", "stage=sft", "stage.global_batch=4", "stage.optimizer.kind=trl", "data.train.limit=64"),
    *("hardware.threads=1", "stage.args.logging_steps=1"),
]


def points(sweep):
    return sorted((sweep / "points").iterdir())


def starts(run_dir):
    path = run_dir / "provenance.json"
    return json.loads(path.read_text())["starts"] if path.is_file() else []


def test_a_failed_point_neither_stops_nor_hides_the_others(tmp_path, tmp_path_factory):
    sweep = tmp_path / "sweep"
    models = f"{unloadable(tmp_path_factory.mktemp('models') / 'broken')},tiny_qwen2_5_vl"
    words = [*WORDS, f"model.path={models}", "stage.args.max_steps=2", f"paths.sweep_dir={sweep}"]
    done = sgg(*words, "hydra.launcher.parallel=2", cwd=tmp_path)
    assert done.returncode == 2  # weights of another shape are the user's to mend
    assert f"sgg resume {sweep}" in done.stderr
    assert "1 failed, 1 finished" in done.stdout
    assert MISMATCH in done.stdout
    assert "1 failed, 1 finished" in sgg_ok("status", str(sweep), cwd=tmp_path).stdout
    assert (points(sweep)[1] / "model" / "model.safetensors").is_file()
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["sweep"]


@pytest.mark.thorough
def test_a_mistake_of_all_points_that_shows_late_is_one_message(tmp_path):
    """Images are looked at by the runs; nothing of Python is shown."""
    (tmp_path / "one.png").write_bytes(b"no image")
    objects = [{"id": "cup.1", "bbox": [1, 2, 30, 35]}, {"id": "table.2", "bbox": [0, 20, 60, 40]}]
    relations = [{"subject": "cup.1", "predicate": "on", "object": "table.2"}]
    row = {"image": "one.png", "objects": objects, "relationships": relations}
    (tmp_path / "annotations.jsonl").write_text(json.dumps({**row, "width": 60, "height": 40}))
    words = ["-m", "seed=0,1", "data=jsonl", "data.root=.", "debug=steps"]
    done = sgg(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("none of 1 images is usable") == 1
    assert "as points/000_seed-0 did" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_stopped_and_resumed(tmp_path):
    """SIGTERM: the point that trains saves, the next one is not started; resume does the rest."""
    sweep = tmp_path / "sweep"
    words = [*WORDS, "seed=0,1", "stage.args.max_steps=16", f"paths.sweep_dir={sweep}"]
    launcher = subprocess.Popen(
        command(*words), cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not list(sweep.glob("points/000*/metrics.jsonl")):
        assert launcher.poll() is None, launcher.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "the first point does not train"
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    stderr = launcher.communicate(timeout=120)[1]
    assert launcher.returncode == 128 + signal.SIGTERM
    assert f"sgg resume {sweep}" in stderr
    log = (points(sweep)[0] / "run.log").read_text()
    assert re.search(rf"Stopped at step \d+\. Resume with: sgg resume {sweep}\n", log)
    assert "1 stopped, 1 lost" in sgg_ok("status", str(sweep), cwd=tmp_path).stdout
    assert "2 finished" in sgg_ok("resume", str(sweep), cwd=tmp_path).stdout
    assert [len(starts(point)) for point in points(sweep)] == [2, 1]
    assert "going on from checkpoint-" in (points(sweep)[0] / "run.log").read_text()
