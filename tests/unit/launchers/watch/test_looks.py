"""Which state is shown, of runs, pipelines and sweeps as their launchers leave them."""

import os
import platform

import pytest

from launchers.watch.follow import as_text, watch
from launchers.watch.looks import Watcher
from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.errors import SggError
from sgg.files import read_json, write_json
from sgg.runs.exit_status import ExitStatus, State
from sgg.runs.folder import append_json, record_start
from sgg.runs.lease import Lease
from sgg.runs.process_id import process_id
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord

SFT = ["stage=sft", "model=tiny_qwen2_vl"]


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def begin(run_dir):
    run_dir.mkdir(parents=True, exist_ok=True)
    config = compose_config([*SFT, f"paths.run_dir={run_dir}"])
    write_frozen(config, run_dir / "config.yaml")
    record_start(run_dir, config)
    write_json(run_dir / "total.json", {"steps": 4})


def log(run_dir, step):
    append_json(run_dir / "metrics.jsonl", {"step": step, "loss": 1 / step})


def started_elsewhere(run_dir):
    """The same run, as seen from another machine."""
    record = read_json(run_dir / "provenance.json")
    record["starts"][-1]["host"] = "elsewhere"
    write_json(run_dir / "provenance.json", record)


@pytest.fixture
def run_dir(tmp_path):
    begin(tmp_path / "run")
    return tmp_path / "run"


def test_a_run_starts_goes_on_and_ends(run_dir):
    watcher = Watcher(run_dir)
    with Lease(run_dir):
        view = watcher.look().run
        assert (view.state, watcher.is_over) == ("starting", False)
        assert f"process {os.getpid()} on {platform.node()}" in view.where
        log(run_dir, 1)
        assert watcher.look().run.state == "running"
    ExitStatus(State.finished, 0, "all steps done").write(run_dir)
    write_json(run_dir / "metrics.json", {})  # what makes a run complete
    view = watcher.look().run
    assert (view.state, view.reason, view.where, watcher.is_over) == ("finished", "", "", True)


def test_a_run_that_failed_says_why_and_what_it_logged(run_dir):
    log(run_dir, 1)
    (run_dir / "run.log").write_text(
        "fine\nTraceback (most recent call last):\n  File\nKeyError: 'x'\n"
    )
    ExitStatus(State.failed, 1, "a worker has ended").write(run_dir)
    watcher = Watcher(run_dir)
    snapshot = watcher.look()
    assert (snapshot.run.state, snapshot.run.reason) == ("failed", "a worker has ended")
    assert snapshot.run.said == "KeyError: 'x'"
    assert snapshot.resume == f"sgg resume {run_dir}"
    assert watcher.is_over


def test_a_run_elsewhere_lives_while_it_renews_its_lease(run_dir):
    """Nothing of its process is known here: the file's time changes, or does not for a minute."""
    clock = Clock()
    started_elsewhere(run_dir)
    watcher = Watcher(run_dir, clock)
    with Lease(run_dir):
        log(run_dir, 1)
        view = watcher.look().run
        assert (view.state, watcher.is_over) == ("unknown", False)
        assert "elsewhere; looking whether it renews its lease" in view.reason
        clock.now_s = 10.0
        os.utime(run_dir / "owners" / "000001.json", (5, 5))
        assert watcher.look().run.state == "running"
        clock.now_s = 69.0
        assert watcher.look().run.state == "running"
        clock.now_s = 70.0
        view = watcher.look().run
        assert (view.state, watcher.is_over) == ("lost", True)
        assert "60 s" in view.reason
        os.utime(run_dir / "owners" / "000001.json", (6, 6))
        assert watcher.look().run.state == "running"


def test_a_pipeline_shows_its_steps_and_the_active_one(tmp_path):
    for name in ("sft", "grpo", "eval"):
        (tmp_path / name).mkdir()
    write_json(tmp_path / "pipeline.json", {"steps": ["sft", "grpo", "eval"]})
    begin(tmp_path / "sft")
    ExitStatus(State.finished, 0, "").write(tmp_path / "sft")
    write_json(tmp_path / "sft" / "metrics.json", {})
    begin(tmp_path / "grpo")
    log(tmp_path / "grpo", 3)
    watcher = Watcher(tmp_path)
    with Lease(tmp_path):
        snapshot = watcher.look()
    assert [(row.label, row.run.state) for row in snapshot.rows] == [
        *(("sft", "finished"), ("grpo", "running"), ("eval", "queued"))
    ]
    assert (snapshot.run.name, snapshot.run.facts.progress.done) == ("grpo", 3)
    assert not watcher.is_over
    ExitStatus(State.failed, 2, "no such file").write(tmp_path / "grpo")
    snapshot = watcher.look()
    assert snapshot.rows[1].run.state == "failed"
    assert watcher.is_over  # `eval` waits for nobody


@pytest.fixture
def sweep(tmp_path):
    """Three points of one step: finished, at work, to come."""
    folder = tmp_path / "sweep"
    jobs = [[process_id()] if number == 1 else [] for number in range(3)]
    runs = [RunRecord(n, "sft", None, f"points/00{n}", jobs[n]) for n in range(3)]
    points = [PointRecord(f"00{n}_seed-{n}", [f"seed={n}"]) for n in range(3)]
    for run in runs:
        begin(folder / run.folder)
    ExitStatus(State.finished, 0, "").write(folder / "points/000")
    write_json(folder / "points/000/metrics.json", {})
    log(folder / "points/001", 2)
    own = {"host": platform.node(), "process": process_id()}
    SweepRecord("local", 1, "/", "2026-01-01", [], points, runs, **own).write(folder)
    return folder


def test_a_sweep_is_a_line_a_point_sorted_by_state(sweep):
    watcher = Watcher(sweep)
    snapshot = watcher.look()
    assert [(row.label, row.overrides, row.run.state) for row in snapshot.rows] == [
        *(("001", "seed=1", "running"), ("002", "seed=2", "queued"), ("000", "seed=0", "finished"))
    ]
    assert (snapshot.run, snapshot.chosen, watcher.is_over) == (None, 0, False)


def test_one_point_of_a_sweep_is_followed_by_a_key_or_by_its_folder(sweep):
    watcher = Watcher(sweep)
    watcher.look()
    watcher.choose(1)
    watcher.is_opened = True
    snapshot = watcher.look()
    assert (snapshot.chosen, snapshot.run.name) == (1, "points/002")
    ExitStatus(State.failed, 1, "no").write(
        sweep / "points/001"
    )  # the order changes, the choice stays
    snapshot = watcher.look()
    assert snapshot.run.name == "points/002"
    watcher.choose(9)
    assert watcher.look().chosen == 2
    assert Watcher(sweep / "points" / "001").look().run.name == "points/001"


def test_a_job_that_waits_has_slurms_reason_and_place(sweep, tmp_path, monkeypatch):
    place = 'echo "4_0|a|N/A"; echo "7_0|a|2026-01-01T12:00:00"'
    words = f'case "$*" in *%P*) {place};; *) echo "7_0|PENDING|Priority";; esac'
    (tmp_path / "squeue").write_text(f"#!/bin/sh\n{words}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    run = RunRecord(0, "sft", None, "points/002", ["7_0"])
    SweepRecord("slurm", 1, "/", "2026", [], [PointRecord("000", [])], [run]).write(sweep)
    watcher = Watcher(sweep)
    snapshot = watcher.look()
    assert snapshot.run.state == "queued"
    place = "place 2 of 2 in its partition, expected to start 2026-01-01T12:00:00"
    assert snapshot.run.reason == f"Priority, {place}"
    assert not watcher.is_over
    assert place in " ".join(as_text(snapshot, 80).split())


def test_a_lease_that_is_a_link_is_not_followed(run_dir, tmp_path):
    (run_dir / "owners").mkdir()
    (tmp_path / "secret").write_text("secret")
    (run_dir / "owners" / "000001.json").symlink_to(tmp_path / "secret")
    log(run_dir, 1)
    ExitStatus(State.failed, 1, "no").write(run_dir)
    with pytest.raises(OSError, match="symbolic"):  # as of `sgg status`
        Watcher(run_dir).look()


def test_without_a_terminal_one_look_is_printed_and_it_ends(run_dir, capsys):
    log(run_dir, 3)
    watch(run_dir, 2.0, once=False)
    text = capsys.readouterr().out
    assert "step 3/4" in text
    assert "\x1b" not in text
    with pytest.raises(SggError, match="no sweep, pipeline or run"):
        watch(run_dir.parent, 2.0, once=True)
