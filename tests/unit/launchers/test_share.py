"""One node's share: what is said and kept when it cannot start, is signalled early, or has no report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import environment

from launchers.ending import ENDING, Ending, State, forget_ending, read_ending
from launchers.local import launch
from launchers.place import Place
from launchers.progress import progress
from launchers.queue import end_jobs
from launchers.share import _conclude, _progress, _queue_again, run_share
from sgg.compose import compose_config
from sgg.config import FROZEN_NAME, freeze, thaw
from sgg.errors import Failed, SggError

FINISHED = Ending(State.finished, 0, "all steps done", "2")
FAILED = Ending(State.failed, 1, "rank5 fell", "2")


def frozen(folder, *words):
    config, _ = compose_config([*words, f"paths.run_dir={folder}"])
    freeze(config, folder / FROZEN_NAME)
    return folder / FROZEN_NAME


def test_the_first_word_of_a_start_stands(tmp_path):
    FAILED.write(tmp_path)
    Ending(State.failed, 1, "connection closed", "2").write(tmp_path)
    assert read_ending(tmp_path) == FAILED
    assert [p.name for p in tmp_path.iterdir()] == [ENDING]


def test_a_run_is_not_finished_when_a_node_has_failed(tmp_path):
    FINISHED.write(tmp_path)
    FAILED.write(tmp_path)
    assert read_ending(tmp_path) == FAILED
    FINISHED.write(tmp_path)
    assert read_ending(tmp_path) == FAILED


def test_an_earlier_start_has_no_say(tmp_path):
    Ending(State.stopped, 140, "time limit", "1").write(tmp_path)
    FAILED.write(tmp_path)
    assert read_ending(tmp_path) == FAILED


def test_a_new_start_forgets_the_last_one_but_not_its_own_nodes(tmp_path):
    FAILED.write(tmp_path)
    forget_ending(tmp_path, "2")
    assert read_ending(tmp_path) == FAILED
    forget_ending(tmp_path, "3")
    assert read_ending(tmp_path) is None


def test_a_node_that_cannot_start_says_why(tmp_path):
    path = frozen(tmp_path, "hardware.nodes=2", "stage.optimizer.kind=trl")
    with pytest.raises(SggError, match="takes 2 nodes"):
        run_share(path, [])
    ending = read_ending(tmp_path)
    assert (ending.state, ending.code) == (State.failed, 1)
    assert "takes 2 nodes, but here are 1" in ending.reason


def test_answers_that_are_not_merged_yet_are_progress(tmp_path):
    before = _progress(tmp_path)
    (tmp_path / "completions.parts").mkdir()
    (tmp_path / "completions.parts" / "rank0.jsonl").write_text("{}\n")
    assert _progress(tmp_path) != before


def test_a_report_that_fails_is_no_failed_run(tmp_path, caplog):
    _conclude(tmp_path)
    assert "its report is not" in caplog.text


def test_only_node_0_asks_slurm_and_the_others_end_well():
    """A code of their own would have srun kill node 0 before it has asked."""
    place = Place(1, ("a", "b"), 0, slurm_job="7")
    stopped = Ending(State.stopped, 140, "stopped", "7-0", "7")
    assert _queue_again(stopped, place, False, lambda: None).code == 0


def test_a_start_without_progress_is_not_queued_again_for_ever():
    place = Place(0, ("a",), 0, slurm_job="7")
    stopped = Ending(State.stopped, 140, "stopped", "7-0", "7")
    ending = _queue_again(stopped, place, True, lambda: None)
    assert (ending.state, ending.code) == (State.failed, 1)
    assert "hardware.slurm.time_min" in ending.reason


def test_a_signal_during_the_start_is_heard(tmp_path):
    """Sent as soon as the process listens, long before it has a rank to pass it on to."""
    path = frozen(tmp_path, "debug=steps")
    node = subprocess.Popen(
        [sys.executable, "-m", "launchers.node", str(path)],
        cwd=Path(__file__).parents[3],
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
def test_a_run_with_an_environment_has_a_process_of_its_own(tmp_path):
    """The profile's variables would else reach nobody; the rank says so by failing for want of weights."""
    path = frozen(tmp_path, "hardware.environment.SGG_PROBE=1", "model.path=nowhere/at/all")
    with pytest.raises(Failed, match="nowhere/at/all: no such folder"):
        launch(path, thaw(path), lambda _: pytest.fail("run in the parent"))
    assert (tmp_path / "logs" / "rank0.log").is_file()


def test_answers_are_counted_once_when_the_parts_are_merged(tmp_path):
    (tmp_path / "completions.parts").mkdir()
    (tmp_path / "completions.parts" / "rank0.jsonl").write_text("{}\n{}\n")
    assert progress(tmp_path)[0] == "2 answers"
    (tmp_path / "completions.jsonl").write_text("{}\n{}\n")
    assert progress(tmp_path)[0] == "2 answers"


def test_a_scancel_that_fails_is_told(monkeypatch, tmp_path):
    """No Slurm answers from this configuration."""
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none.conf"))
    with pytest.raises(SggError, match="scancel 7_0 failed"):
        end_jobs(["7_0"])
