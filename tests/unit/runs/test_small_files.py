"""Small files are whole or not there; what a machine that went down left of one is nobody's word."""

import json
import threading

import pytest

from launchers.sweep.status import status_of
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.files import read_json, write_json, write_whole
from sgg.runs.exit_status import ENDING, ExitStatus, State, forget_exit_status, read_exit_status
from sgg.runs.folder import METRICS, PIPELINE, PROVENANCE, TOTAL, record_start
from sgg.runs.progress import progress
from sgg.runs.records import read_metrics, read_starts
from sgg.runs.requeue import FAILURES, count_failure
from sgg.runs.sweep import SWEEP, read_sweep
from sgg.tracking.open import NoTracker, open_tracker
from sgg.tracking.state import TRACKER, failure_note, tracker_run_id

LEFT = [b"", b'{"state": "fin', b"\0" * 40, b"\xff\xfe"]


@pytest.fixture(params=LEFT, ids=["empty", "cut", "zeros", "no text"])
def left(request):
    return request.param


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    path, texts = tmp_path / "a.runs", {"a\n" * 20_000, "b\n" * 20_000}
    seen, over = set(), threading.Event()

    def look():
        while not over.is_set():
            seen.add(path.read_text())

    write_whole(path, "a\n" * 20_000)
    reader = threading.Thread(target=look)
    reader.start()
    for text in [*texts] * 10:
        write_whole(path, text)
    over.set()
    reader.join()
    assert seen <= texts
    assert [file.name for file in tmp_path.iterdir()] == ["a.runs"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    (tmp_path / "b.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_json(tmp_path / "b.json", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]
    assert read_json(tmp_path / "a.json") == 1
    assert read_json(tmp_path / "c.json") is None


def test_of_a_damaged_ending_a_run_has_not_ended(tmp_path, left):
    (tmp_path / FROZEN_NAME).touch()
    (tmp_path / ENDING).write_bytes(left)
    assert read_exit_status(tmp_path) is None
    assert [status.state for status in status_of(tmp_path).runs] == ["queued"]
    forget_exit_status(tmp_path, "1-0-0")
    assert not (tmp_path / ENDING).exists()
    (tmp_path / ENDING).write_bytes(left)
    ExitStatus(State.finished, 0, "done").write(tmp_path)
    assert read_exit_status(tmp_path).state is State.finished


def test_damaged_records_of_a_run_count_as_absent(tmp_path, left):
    for name in (PROVENANCE, TOTAL, METRICS, FAILURES, PIPELINE):
        (tmp_path / name).write_bytes(left)
    assert read_starts(tmp_path) == []
    assert progress(tmp_path) == ("", "", 0)
    assert read_metrics(tmp_path) is None
    assert count_failure(tmp_path, "1-0", "n1") == {"1-0": "n1"}
    record_start(tmp_path, compose_config(["stage=sft"]))
    assert len(read_starts(tmp_path)) == 1
    with pytest.raises(SggError, match="no sweep, pipeline or run"):
        status_of(tmp_path)


def test_a_damaged_tracker_record_costs_neither_the_tracker_nor_the_run(tmp_path, left):
    config = compose_config(["stage=sft", "tracker=tensorboard"])
    (tmp_path / TRACKER).write_bytes(left)
    tracker = open_tracker(config, tmp_path)
    assert not isinstance(tracker, NoTracker)
    tracker.finish()
    assert failure_note(tmp_path) is None
    assert len(tracker_run_id(tmp_path)) == 8
    assert json.loads((tmp_path / TRACKER).read_text())["id"] == tracker_run_id(tmp_path)


def test_a_damaged_record_of_a_sweep_is_told(tmp_path, left):
    (tmp_path / SWEEP).write_bytes(left)
    with pytest.raises(SggError, match=r"sweep.json is missing or damaged"):
        read_sweep(tmp_path)
