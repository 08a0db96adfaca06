"""One node's share: what is said and kept when it cannot start, is signalled early, or has no report."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from commands import environment, sgg_ok

from launchers.kinds import frozen_config
from launchers.local import launch
from launchers.node.agent import (
    _after_stop,
    _conclude,
    _progress,
    _try_again,
    raise_for_status,
    run_node_share,
)
from launchers.placement import BEGAN, NodePlacement
from launchers.slurm.queue import end_jobs
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, read_frozen, write_frozen
from sgg.errors import Failed, SggError, Stopped
from sgg.explain.exit_codes import exit_code
from sgg.runs.exit_status import ENDING, ExitStatus, State, forget_exit_status, read_exit_status
from sgg.runs.lease import Lease
from sgg.runs.progress import progress
from sgg.runs.requeue import ask_again
from sgg.runs.signature import sign_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord

ROOT = Path(__file__).parents[4]
FINISHED = ExitStatus(State.finished, 0, "all steps done", "2")
FAILED = ExitStatus(State.failed, 1, "rank5 fell", "2")


def frozen(folder, *words):
    config = compose_config([*words, f"paths.run_dir={folder}"])
    folder.mkdir(parents=True, exist_ok=True)
    write_frozen(config, folder / FROZEN_NAME)
    return folder / FROZEN_NAME


def test_the_first_word_of_a_start_stands(tmp_path):
    FAILED.write(tmp_path)
    ExitStatus(State.failed, 1, "connection closed", "2").write(tmp_path)
    assert read_exit_status(tmp_path) == FAILED
    assert [p.name for p in tmp_path.iterdir()] == [ENDING]


def test_a_run_is_not_finished_when_a_node_has_failed(tmp_path):
    FINISHED.write(tmp_path)
    FAILED.write(tmp_path)
    assert read_exit_status(tmp_path) == FAILED
    FINISHED.write(tmp_path)
    assert read_exit_status(tmp_path) == FAILED


def test_an_earlier_start_has_no_say(tmp_path):
    ExitStatus(State.stopped, 140, "time limit", "1").write(tmp_path)
    FAILED.write(tmp_path)
    assert read_exit_status(tmp_path) == FAILED


def test_a_new_start_forgets_the_last_one_but_not_its_own_nodes(tmp_path):
    FAILED.write(tmp_path)
    forget_exit_status(tmp_path, "2")
    assert read_exit_status(tmp_path) == FAILED
    forget_exit_status(tmp_path, "3")
    assert read_exit_status(tmp_path) is None


def test_a_node_that_cannot_start_says_why(tmp_path):
    path = frozen(tmp_path, "hardware.nodes=2", "stage.optimizer.kind=trl")
    with pytest.raises(SggError, match="takes 2 nodes"):
        run_node_share(path, [], accepted=True)
    ending = read_exit_status(tmp_path)
    assert (ending.state, ending.code) == (State.failed, 2)  # as the process ends
    assert "takes 2 nodes, but here are 1" in ending.reason


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["hardware.nodes=2", "stage.optimizer.kind=trl"], "takes 2 nodes", 2),
        (["hardware.gpu=true"], "0 GPUs are visible", 1),
    ],
)
def test_what_a_user_must_mend_is_not_tried_on_another_node(
    words, said, code, tmp_path, monkeypatch
):
    """A GPU that is not there is no mistake: another node has it."""
    run = RunRecord(0, "sft", None, "points/000", ["7_0"])
    SweepRecord("slurm", 1, "/", "", [], [PointRecord("000", [])], [run], retries=2).write(tmp_path)
    path = frozen(tmp_path / run.folder, *words)
    step = {"JOB_ID": "8", "STEP_ID": "0", "NODEID": "0", "ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "0"}
    for name, value in {**step, "JOB_NODELIST": "n1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(SggError, match=said) as raised:
        run_node_share(path, [], accepted=True)
    assert exit_code(raised.value) == read_exit_status(path.parent).code == code
    assert (path.parent / "requeue.7_0").is_file() == (code != 2)


def test_completions_that_are_not_merged_yet_are_progress(tmp_path):
    before = _progress(tmp_path)
    (tmp_path / "completions.parts").mkdir()
    (tmp_path / "completions.parts" / "rank0.jsonl").write_text("{}\n")
    assert _progress(tmp_path) != before


def test_a_report_that_fails_is_no_failed_run(tmp_path, caplog):
    _conclude(tmp_path)
    assert "its report is not" in caplog.text


STOPPED = ExitStatus(
    State.stopped, 128 + signal.SIGUSR2, "Stopped by SIGUSR2.", "7_2-0", "7_2", "a"
)


def test_node_0_asks_to_be_queued_again_and_every_node_ends_well(tmp_path):
    """A code of its own would have srun kill the nodes that still save."""
    for node in (1, 0):
        assert not (tmp_path / "requeue.7_2").exists()
        assert (
            _after_stop(
                STOPPED, NodePlacement(node, ("a", "b"), slurm_job="7_2"), tmp_path, False
            ).code
            == 0
        )
    assert (tmp_path / "requeue.7_2").read_text() == "SIGUSR2\n\n"


@pytest.mark.parametrize("node", [0, 1])
def test_a_signal_while_the_folder_is_waited_for_has_the_job_queued_again(
    tmp_path, monkeypatch, node
):
    """Asked by node 0, for its own job: another one may own the folder. Outside of a job it is an end."""
    path = frozen(tmp_path)
    with Lease(tmp_path, "another start"):
        (owner,) = (tmp_path / "owners").iterdir()
        owner.write_text(owner.read_text().replace(platform.node(), "elsewhere"))
        before = sorted(tmp_path.rglob("*"))
        place = NodePlacement(node, ("a", "b"), "7_2-0-0", "7_2")
        monkeypatch.setattr(NodePlacement, "from_slurm", lambda: place)
        run_node_share(path, [signal.SIGUSR2], accepted=True)
        asked = [tmp_path / "requeue.7_2"] if node == 0 else []
        assert sorted(tmp_path.rglob("*")) == sorted([*before, *asked])
        monkeypatch.setattr(NodePlacement, "from_slurm", lambda: replace(place, slurm_job=None))
        with pytest.raises(Stopped, match="Stopped by SIGUSR2 before it began"):
            run_node_share(path, [signal.SIGUSR2], accepted=True)


@pytest.mark.parametrize(("age_min", "again"), [(31, False), (5, True)])
def test_the_time_of_a_job_counts_from_its_batch_script(tmp_path, monkeypatch, age_min, again):
    """The setup, or the start of a container, may take all the time that there is."""
    path = frozen(tmp_path, "debug=steps", "hardware.slurm.time_min=60")
    monkeypatch.setenv(BEGAN, str(int(time.time()) - 60 * age_min))
    monkeypatch.setattr(
        NodePlacement, "from_slurm", lambda: NodePlacement(0, ("127.0.0.1",), "7_2-0-0", "7_2")
    )
    if again:
        run_node_share(path, [signal.SIGUSR2], accepted=True)
    else:
        with pytest.raises(Failed, match="time_min brought no new checkpoint"):
            run_node_share(path, [signal.SIGUSR2], accepted=True)
    assert (tmp_path / "requeue.7_2").exists() == again


def test_a_start_without_progress_is_not_queued_again_for_ever(tmp_path):
    """And that is what its ending says, though it was stopped first."""
    STOPPED.write(tmp_path)
    with pytest.raises(Failed, match="time_min brought no new checkpoint"):
        raise_for_status(
            _after_stop(STOPPED, NodePlacement(0, ("a",), slurm_job="7_2"), tmp_path, idle=True)
        )
    ending = read_exit_status(tmp_path)
    assert (ending.state, ending.code) == (State.failed, 1)
    assert ending.shown.startswith("Not queued again: the whole of hardware.slurm.time_min")
    assert not (tmp_path / "requeue.7_2").exists()


def test_a_preemption_without_progress_is_left_to_slurm(tmp_path):
    terminated = replace(STOPPED, code=128 + signal.SIGTERM)
    assert (
        _after_stop(terminated, NodePlacement(0, ("a",), slurm_job="7_2"), tmp_path, True).code == 0
    )
    assert (tmp_path / "requeue.7_2").read_text() == "SIGTERM\n\n"


def test_what_slurm_refused_is_how_the_run_ended(tmp_path):
    STOPPED.write(tmp_path)
    (tmp_path / "requeue.refused").write_text("Requested operation is disabled for job 9\n")
    ending = read_exit_status(tmp_path)
    assert ending.state is State.failed
    assert ending.shown.startswith("Slurm did not queue it again: Requested operation is disabled")
    forget_exit_status(tmp_path, "7_2-1")
    assert [p.name for p in tmp_path.iterdir()] == []


def test_a_failure_is_tried_again_elsewhere_as_often_as_the_sweep_allows(tmp_path):
    run = RunRecord(0, "sft", None, "points/000", ["7_0"])
    SweepRecord("slurm", 1, "/", "", [], [PointRecord("000", [])], [run], retries=2).write(tmp_path)
    run_dir = tmp_path / run.folder
    path = frozen(run_dir, "hardware.slurm.exclude=n9")
    for attempt, host in enumerate(("n1", "n2", "n3")):
        place = NodePlacement(0, (host,), attempt=f"7_0-{attempt}", slurm_job="7_0")
        forget_exit_status(run_dir, place.attempt)
        ExitStatus(State.failed, 1, "fell", place.attempt, "7_0", host).write(run_dir)
        for _ in range(2):  # two nodes of the same start say the same
            _try_again(run_dir, place)
        asked = run_dir / "requeue.7_0"
        if attempt < 2:
            assert asked.read_text() == f"failed\n{('n9,n1', 'n9,n1,n2')[attempt]}\n"
            asked.unlink()
    assert not asked.exists()
    assert read_frozen(path).hardware.slurm.exclude == "n9"


@pytest.fixture
def batch_script_ends(tmp_path, monkeypatch):
    """Runs the end of a batch script after a command; scontrol is a stand-in that keeps what it got."""

    def run(command, scontrol):
        path = tmp_path / "bin" / "scontrol"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{scontrol}\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
        job = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "7"}
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"{command}\n{(ROOT / 'launchers' / 'slurm' / 'job_end.sh').read_text()}",
            ],
            env={**os.environ, "RUN_DIR": str(tmp_path), **job},
            timeout=30,
        )
        calls = tmp_path / "calls"
        return done.returncode, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_a_job_that_asks_for_nothing_ends_with_its_own_code(batch_script_ends):
    assert batch_script_ends("(exit 3)", "exit 0") == (3, [])


def test_a_job_queues_its_own_task_again_and_no_other(batch_script_ends, tmp_path):
    ask_again(tmp_path, "7_2", "failed", "n1,n2")
    calls = ["requeue 7_2", "update JobId=7_2 ExcNodeList=n1,n2"]
    assert batch_script_ends("(exit 1)", "exit 0") == (0, calls)
    assert not (tmp_path / "requeue.7_2").exists()


def test_a_refusal_is_kept(batch_script_ends, tmp_path):
    STOPPED.write(tmp_path)
    ask_again(tmp_path, "7_2", "SIGUSR2")
    assert batch_script_ends("true", "echo disabled >&2; exit 1") == (1, ["requeue 7_2"])
    assert "Slurm did not queue it again: disabled" in read_exit_status(tmp_path).reason


def test_a_preempted_job_is_queued_again_after_sigterm(batch_script_ends, tmp_path):
    ask_again(tmp_path, "7_2", "SIGTERM")
    shown = "JobId=9 ArrayJobId=7 JobState=RUNNING Reason=None PreemptTime=2026-01-01"
    scontrol = f"[ $1 = show ] && echo '{shown}'; exit 0"
    calls = ["show job --oneliner 7_2", "requeue 7_2"]
    assert batch_script_ends("true", scontrol) == (0, calls)


@pytest.mark.parametrize("state", ["CANCELLED", "PENDING"])
def test_what_slurm_has_decided_stands(batch_script_ends, tmp_path, state):
    """Cancelled, or queued again by the user or by Slurm: there is nothing to ask and to wait for."""
    ask_again(tmp_path, "7_2", "SIGTERM")
    shown = f"echo 'JobId=9 ArrayJobId=7 JobState={state} Reason=None PreemptTime=2026-01-01'"
    assert batch_script_ends("true", shown) == (143, ["show job --oneliner 7_2"])


def test_a_signal_during_the_start_is_heard(tmp_path):
    """Sent as soon as the process listens, long before it has a rank to pass it on to."""
    path = frozen(tmp_path, "debug=steps")
    sign_run(tmp_path)
    node = subprocess.Popen(
        [sys.executable, "-m", "launchers.node", str(path)],
        cwd=Path(__file__).parents[4],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not _listens(node.pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(node.pid, signal.SIGTERM)
    stderr = node.communicate(timeout=60)[1]
    assert node.returncode == 143, stderr
    assert json.loads((tmp_path / ENDING).read_text())["state"] == "stopped"
    assert "Traceback" not in stderr


def _listens(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)
    return caught & (1 << (signal.SIGTERM - 1))


@pytest.mark.slow
def test_a_supervised_run_records_the_words_that_began_it(tmp_path):
    run_dir = tmp_path / "run"
    words = ["debug=steps", "hardware.environment.NOTE=a b", f"paths.run_dir={run_dir}"]
    sgg_ok(*words, cwd=tmp_path)
    (run_dir / FROZEN_NAME).write_text("cut")
    with pytest.raises(SggError, match="was damaged") as raised:
        frozen_config(run_dir)
    assert "hardware.environment.NOTE=a b" in str(raised.value)  # left out: it may load code
    assert f"sgg debug=steps paths.run_dir={run_dir}" in str(raised.value)


@pytest.mark.slow
def test_a_run_with_an_environment_has_a_process_of_its_own(tmp_path):
    """The profile's variables would else reach nobody; the rank says so by failing for want of weights."""
    path = frozen(tmp_path, "hardware.environment.SGG_PROBE=1", "model.path=nowhere/at/all")
    with pytest.raises(Failed, match="nowhere/at/all: no such folder"):
        launch(path, read_frozen(path), lambda _: pytest.fail("run in the parent"))
    assert (tmp_path / "logs" / "rank0.log").is_file()


def test_completions_are_counted_once_when_the_parts_are_merged(tmp_path):
    (tmp_path / "completions.parts").mkdir()
    (tmp_path / "completions.parts" / "rank0.jsonl").write_text("{}\n{}\n")
    assert progress(tmp_path)[0] == "2 completions"
    (tmp_path / "completions.jsonl").write_text("{}\n{}\n")
    assert progress(tmp_path)[0] == "2 completions"


def test_jobs_that_slurm_does_not_know_are_not_ended(monkeypatch, tmp_path):
    """No Slurm answers at the port of this configuration."""
    settings = ["ClusterName=none", "SlurmctldHost=localhost(127.0.0.1)", "SlurmctldPort=9"]
    settings += ["NodeName=none", "PartitionName=none Nodes=none", ""]
    (tmp_path / "slurm.conf").write_text("\n".join(settings))
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(
        SggError, match=r"squeue does not say whose the jobs 7_0 are\. Nothing was ended"
    ):
        end_jobs(["7_0"])
