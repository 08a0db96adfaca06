"""Trackers without a training: who is which run, what a new start replaces, and what a failure leaves."""

import json
import logging
import os
import subprocess
import sys

import pytest
from event_files import scalars
from nowhere import NOWHERE
from PIL import Image
from wandb_files import history, records
from wandb_server import serving

from sgg.config.compose import compose_config
from sgg.config.tracker import TrackerKind
from sgg.tracking.open import open_trackers, tracking
from sgg.tracking.reach import LIMIT_S
from sgg.tracking.state import failure_note, group_of, tracker_run_id


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture
def by_wandb(monkeypatch):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # as the tracker sets it, for this test
    return compose_config(["tracker=wandb"])


def stored(run_dir):
    """All of wandb's files of a run that an upload would find."""
    return sorted((run_dir / "wandb").rglob("*.wandb"))


def steps(run_dir):
    return [row["_step"] for file in stored(run_dir) for row in history(file)]


def test_each_run_of_a_process_has_its_own(tmp_path, by_wandb, caplog):
    """As the stages of a pipeline are: each is its own run, the evaluation's numbers at step 0 among them."""
    with caplog.at_level(logging.WARNING, logger="sgg"):
        for name, step in (("sft", 2), ("eval", 0)):
            (tmp_path / name).mkdir()
            tracker = open_trackers(by_wandb, tmp_path / name)
            tracker.log({"loss": 1.0}, step)
            tracker.finish()
    assert not caplog.records
    for name, step in (("sft", 2), ("eval", 0)):
        [file] = stored(tmp_path / name)
        [row] = history(file)
        assert (row["_step"], row["loss"]) == (step, 1.0)
    assert tracker_run_id(tmp_path / "sft") != tracker_run_id(tmp_path / "eval")


@pytest.mark.parametrize(
    ("folder", "name", "group"),
    [
        ("alone", "alone", "tiny_qwen2_5_vl-shapes"),
        ("demo/sft", "demo/sft", "demo"),
        ("sweep/points/003_seed-2", "sweep/003_seed-2/sft", "sweep/003_seed-2"),
        ("sweep/points/003_seed-2/grpo", "sweep/003_seed-2/grpo", "sweep/003_seed-2"),
    ],
)
def test_a_run_is_called_and_grouped_by_its_pipeline_its_point_and_its_stage(
    tmp_path, by_wandb, folder, name, group
):
    run_dir = tmp_path / folder
    run_dir.mkdir(parents=True)
    if run_dir.name in ("sft", "grpo"):
        (run_dir.parent / "pipeline.json").write_text("{}")
    if (tmp_path / "sweep").is_dir():
        (tmp_path / "sweep" / "sweep.json").write_text("{}")
    with tracking(by_wandb, run_dir) as tracker:
        tracker.log({"loss": 1.0}, 1)
    [file] = stored(run_dir)
    [run, *_] = records(file, "run")
    assert (run["display_name"], run["run_group"]) == (name, group)
    assert group_of(compose_config(["tracker.group=mine"]), run_dir) == "mine"


def test_the_longest_group_is_one_that_wandb_takes(tmp_path, by_wandb):
    (tmp_path / ("x" * 200)).mkdir()
    (tmp_path / ("x" * 200) / "pipeline.json").touch()
    assert group_of(by_wandb, tmp_path / ("x" * 200) / "sft") == "x" * 128


def test_a_run_that_was_never_finished_does_not_take_the_next_ones_numbers(tmp_path, by_wandb):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = open_trackers(by_wandb, tmp_path / "first")
    second = open_trackers(by_wandb, tmp_path / "second")
    second.log({"loss": 2.0}, 1)
    second.finish()
    first.finish()
    assert steps(tmp_path / "second") == [1]
    assert steps(tmp_path / "first") == []


def test_a_new_start_replaces_what_no_server_has(tmp_path, by_wandb):
    """Steps 3 and 4 are made twice: one file is left to upload, with the values that the run resumed from."""
    for start, told in enumerate([(1, 2, 3, 4), (1, 2, 3, 4, 5)]):
        with tracking(by_wandb, tmp_path) as tracker:
            for step in told:
                tracker.log({"loss": step + start / 2}, step)
    [file] = stored(tmp_path)
    assert [(r["_step"], r["loss"]) for r in history(file)] == [(s, s + 0.5) for s in range(1, 6)]
    assert len(list((tmp_path / "wandb" / "replaced").iterdir())) == 1


def test_a_new_start_begins_behind_what_was_uploaded(tmp_path, by_wandb):
    """A server cannot take steps back; given again, they would get other numbers there."""
    with tracking(by_wandb, tmp_path) as tracker:
        for step in (1, 2, 3, 4):
            tracker.log({"loss": 1.0}, step)
    [first] = stored(tmp_path)
    first.with_name(f"{first.name}.synced").touch()  # as `wandb sync` leaves it
    with tracking(by_wandb, tmp_path) as tracker:
        for step in (1, 2, 3, 4, 5):
            tracker.log({"loss": 2.0}, step)
    assert len(stored(tmp_path)) == 2
    assert steps(tmp_path) == [1, 2, 3, 4, 5]


def test_how_a_run_ended_is_known(tmp_path, by_wandb):
    with pytest.raises(KeyError), tracking(by_wandb, tmp_path):
        raise KeyError
    [file] = stored(tmp_path)
    assert records(file, "exit")[0]["exit_code"] == 1


DIES = """
import logging, signal, sys, time
from pathlib import Path
import psutil
from sgg.config.compose import compose_config
from sgg.tracking.state import failure_note
from sgg.tracking.open import tracking
logging.basicConfig(level=logging.WARNING)
config = compose_config(["tracker=wandb"])
run_dir = Path(sys.argv[1])
with tracking(config, run_dir) as tracker:
    step = 1
    tracker.log({"loss": 1.0}, step)
    for process in psutil.Process().children():
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    deadline = time.monotonic() + 60
    while failure_note(run_dir) is None and time.monotonic() < deadline:
        step += 1
        tracker.log({"loss": 1.0}, step)
        time.sleep(0.05)
    tracker.log({"loss": 1.0}, step + 1)
print(step - 1)
with tracking(config, Path(sys.argv[2])) as tracker:
    tracker.log({"loss": 1.0}, 1)
"""


def test_a_tracker_that_dies_stops_nothing_and_is_told_of(tmp_path):
    """Its service is killed: the run goes to its end, which says since when; the next stage is tracked."""
    folders = [tmp_path / "sft", tmp_path / "grpo"]
    for folder in folders:
        folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", DIES, *map(str, folders)], capture_output=True, text=True, check=True
    )
    note = failure_note(folders[0])
    assert note in done.stderr
    assert f"tracker=wandb failed after step {done.stdout.strip()}" in note
    assert "metrics.jsonl" in note
    assert f"wandb sync {folders[0] / 'wandb'}/offline-run-*" in note
    assert "Traceback" not in done.stderr
    assert failure_note(folders[1]) is None
    assert steps(folders[1]) == [1]


def test_a_new_start_forgets_that_the_last_one_failed(tmp_path, by_wandb):
    failure = {"step": 3, "at_end": False, "time": "", "error": "e"}
    state = {"id": "0123abcd", "failed": {"wandb": failure}}
    (tmp_path / "tracker.json").write_text(json.dumps(state))
    assert "after step 3" in failure_note(tmp_path)
    with tracking(by_wandb, tmp_path) as tracker:
        tracker.log({"loss": 1.0}, 1)
    assert failure_note(tmp_path) is None
    assert [f.name for f in stored(tmp_path)] == ["run-0123abcd.wandb"]


def test_a_tracker_that_cannot_start_is_told_of(tmp_path, caplog):
    config = compose_config(["tracker=tensorboard"])
    (tmp_path / "tensorboard").write_text("no folder")
    with tracking(config, tmp_path) as tracker:
        assert tracker.started == {}
        tracker.log({"loss": 1.0}, 1)
    assert caplog.messages[-1] == failure_note(tmp_path)
    assert "tracker=tensorboard failed at its start" in failure_note(tmp_path)


def test_several_trackers_are_told_the_same(tmp_path):
    config = compose_config(["tracker=[wandb,tensorboard]"])
    with tracking(config, tmp_path) as both:
        assert list(both.started) == [TrackerKind.wandb, TrackerKind.tensorboard]
        for step in (1, 2):
            both.log({"loss": step + 0.5}, step)
        both.table("samples", ["image"], [[Image.new("RGB", (8, 8))]])
    [file] = stored(tmp_path)
    assert [(r["_step"], r["loss"]) for r in history(file)][:2] == [(1, 1.5), (2, 2.5)]
    assert scalars(tmp_path) == {"loss": [(1, 1.5), (2, 2.5)]}
    assert failure_note(tmp_path) is None


def test_a_tracker_that_fails_leaves_the_others_alone(tmp_path, caplog):
    config = compose_config(["tracker=[tensorboard,wandb]"])
    (tmp_path / "tensorboard").write_text("no folder")
    with tracking(config, tmp_path) as rest:
        assert list(rest.started) == [TrackerKind.wandb]
        rest.log({"loss": 1.5}, 1)
    [file] = stored(tmp_path)
    assert [(r["_step"], r["loss"]) for r in history(file)] == [(1, 1.5)]
    note = failure_note(tmp_path)
    assert note.startswith("tracker=tensorboard failed at its start")
    assert "wandb" not in note
    assert caplog.messages[-1] == note


KILLED = """
import os, signal, sys
from pathlib import Path
from sgg.config.compose import compose_config
from sgg.tracking.open import open_trackers
tracker = open_trackers(compose_config(["tracker=tensorboard"]), Path(sys.argv[1]))
for step in (1, 2, 3, 4):
    tracker.log({"loss": float(step)}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_tensorboard_has_each_step_once_after_a_kill(tmp_path):
    """What the killed start had not written, and what it made after its last checkpoint."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    config = compose_config(["tracker=tensorboard"])
    with tracking(config, tmp_path) as tracker:
        for step in (1, 2, 3, 4, 5):
            tracker.log({"loss": step + 0.5}, step)
        tracker.log({"loss": 9.0, "train_loss": 1.0}, 5)
    assert scalars(tmp_path) == {
        "loss": [(s, s + 0.5) for s in range(1, 6)],
        "train_loss": [(5, 1.0)],
    }
    assert failure_note(tmp_path) is None


OUT_OF_REACH = """
import sys, logging, time
from pathlib import Path
import wandb
from sgg.config.compose import compose_config
from sgg.tracking.state import failure_note
from sgg.tracking.open import tracking
logging.basicConfig(level=logging.INFO)
config = compose_config(["tracker=wandb"])
started = time.monotonic()
with tracking(config, Path(sys.argv[1])) as tracker:
    print(time.monotonic() - started)
    tracker.log({"loss": 1.0}, 1)
    ended = time.monotonic()
print(time.monotonic() - ended)
print(failure_note(Path(sys.argv[1])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOWHERE)
def test_a_server_out_of_reach_means_offline_within_seconds(tmp_path, kind):
    key = "f" * 40
    with NOWHERE[kind]() as address:
        done = tracked_with(tmp_path, WANDB_API_KEY=key, WANDB_BASE_URL=address)
    start_s, end_s, note = done.stdout.splitlines()[-3:]
    assert float(start_s) < LIMIT_S + 3  # of which wandb takes two, on a busy machine
    assert float(end_s) < 3
    assert note == "None"
    assert f"wandb's server cannot be reached, so it tracks offline: {address}: " in done.stderr
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_wrong_key_means_offline(tmp_path):
    with serving() as server:
        tracked_with(tmp_path, **{**server.environment, "WANDB_API_KEY": "short"})
        assert server.runs == {}


def tracked_with(folder, **more):
    """A process that tracks a step with this environment; its offline file holds the step."""
    run_dir = folder / "run"
    run_dir.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "WANDB_MODE"}
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_REACH, str(run_dir)],
        env={**environment, "HOME": str(folder), **more},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "so it tracks offline" in done.stderr
    assert f"wandb sync {run_dir}/wandb/offline-run-*" in done.stderr
    [file] = (run_dir / "wandb").glob("offline-run-*/*.wandb")
    assert [row["_step"] for row in history(file)] == [1]
    return done


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        ("wandb", "wandb/replaced"),
        ("wandb", "wandb/offline-run-2"),
    ],
)
def test_nothing_is_removed_or_moved_through_a_link(tmp_path, kind, place, caplog):
    theirs, link = tmp_path / "theirs", tmp_path / "run" / place
    for file in ("events.out.tfevents.1", "run.wandb", "offline-run-1/run.wandb"):
        (theirs / file).parent.mkdir(parents=True, exist_ok=True)
        (theirs / file).touch()
    before = sorted(theirs.rglob("*"))
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    assert open_trackers(compose_config([f"tracker={kind}"]), tmp_path / "run").started == {}
    assert f"tracker={kind} could not start" in caplog.text
    assert "a symbolic link to" in caplog.text
    assert sorted(theirs.rglob("*")) == before


@pytest.mark.parametrize("place", ["", "..", "../.."])
def test_a_run_that_was_handed_back_names_no_server_for_the_key(
    place, tmp_path, by_wandb, monkeypatch, caplog
):
    """It reads `wandb/settings` of the current folder: the run's, its sweep's or its pipeline's."""
    run_dir = tmp_path / "points" / "000"
    run_dir.mkdir(parents=True)
    here = (run_dir / place).resolve()
    (here / "wandb").mkdir()
    (here / "wandb" / "settings").write_text("[default]\nbase_url = http://127.0.0.1:9\n")
    (tmp_path / "sweep.json").write_text("{}")
    (tmp_path / "points" / "pipeline.json").write_text("{}")
    monkeypatch.chdir(here)
    assert open_trackers(by_wandb, run_dir).started == {}
    assert "Start from another folder." in caplog.text


def test_a_projects_own_settings_of_wandb_are_its_users(tmp_path, by_wandb, monkeypatch):
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nproject = mine\n")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    tracker = open_trackers(by_wandb, tmp_path / "runs" / "a")
    assert list(tracker.started) == [TrackerKind.wandb]
    tracker.finish()
