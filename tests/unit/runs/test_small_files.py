"""Small files are whole or not there; what a machine that went down left of one is nobody's word."""

import json
import os
import threading

import pytest

from launchers.local_pipeline import execute_steps
from launchers.sweep.status import status_of
from launchers.sweep.status_table import status_table
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.files import RECORD_BYTES, read_json, write_json, write_whole
from sgg.pipeline import finish_if_complete
from sgg.report.page import write_report
from sgg.runs.exit_status import ENDING, ExitStatus, State, forget_exit_status, read_exit_status
from sgg.runs.folder import (
    CURVES,
    METRICS,
    PIPELINE,
    PROVENANCE,
    SAMPLES,
    TOTAL,
    append_json,
    record_start,
)
from sgg.runs.open_run import open_run
from sgg.runs.progress import progress
from sgg.runs.records import read_metrics, read_pipeline, read_starts, read_total
from sgg.runs.requeue import FAILURES, count_failure
from sgg.runs.sweep import SWEEP, read_sweep
from sgg.tracking.open import open_trackers
from sgg.tracking.state import TRACKER, failure_note, tracker_run_id

LEFT = [b"", b'{"state": "fin', b"\0" * 40, b"\xff\xfe", b"[" * 100_000, b'{"state": "\\ud800"}']
LEFT.append(b'{"state": NaN}')
IDS = ["empty", "cut", "zeros", "no text", "deep", "half a pair", "not finite"]


@pytest.fixture(params=LEFT, ids=IDS)
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
    tracker = open_trackers(config, tmp_path)
    assert len(tracker.started) == 1
    tracker.finish()
    assert failure_note(tmp_path) is None
    assert len(tracker_run_id(tmp_path)) == 8
    assert json.loads((tmp_path / TRACKER).read_text())["id"] == tracker_run_id(tmp_path)


def test_a_damaged_record_of_a_sweep_is_told(tmp_path, left):
    (tmp_path / SWEEP).write_bytes(left)
    with pytest.raises(SggError, match=r"sweep.json is missing or damaged"):
        read_sweep(tmp_path)


ODD = [
    "x",
    [[]],
    {"a": 1},
    {"starts": [1]},
    {"steps": "x"},
    {"points": "x"},
    {"metrics": {"R": []}},
]
READERS = {
    PROVENANCE: read_starts,
    TOTAL: read_total,
    METRICS: read_metrics,
    PIPELINE: read_pipeline,
    ENDING: read_exit_status,
    SWEEP: read_sweep,
}


@pytest.mark.parametrize("content", ODD, ids=json.dumps)
@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_form_is_named(tmp_path, name, content):
    write_json(tmp_path / name, content)
    with pytest.raises(SggError, match=rf"{name}: not of the form that sgg writes"):
        READERS[name](tmp_path)


def test_a_folder_named_by_a_file_lies_below_it(tmp_path):
    for name in ("../x", "/etc", "a\0b", "", "y" * 300, "\x1b[2J"):
        write_json(tmp_path / PIPELINE, {"steps": [name], "table": []})
        with pytest.raises(SggError, match=r"no name of a step|no folder below its own"):
            read_pipeline(tmp_path)
        run = {"point": 0, "step": "sft", "after": None, "folder": name}
        sweep = {"launcher": "local", "parallel": 1, "cwd": "/", "submitted": "", "overrides": []}
        points = [{"name": "0", "overrides": []}]
        write_json(tmp_path / SWEEP, {**sweep, "points": points, "runs": [run]})
        with pytest.raises(SggError, match="no folder below its own"):
            read_sweep(tmp_path)
        for key in ("step", "after"):
            run = {"point": 0, "step": "sft", "after": None, "folder": "points/0", key: name}
            if not name and key == "after":
                continue  # as None
            write_json(tmp_path / SWEEP, {**sweep, "points": points, "runs": [run]})
            with pytest.raises(SggError, match=r"no name of a step|no folder below its own"):
                read_sweep(tmp_path)


@pytest.mark.parametrize("name", ["../victim", "/etc"])
def test_nothing_is_read_or_written_about_a_run_outside_that_a_pipeline_names(tmp_path, name):
    folder = tmp_path / "theirs"
    folder.mkdir()
    open_run(compose_config(["stage=sft", f"paths.run_dir={tmp_path / 'victim'}"]))
    write_json(folder / PIPELINE, {"steps": [name], "table": []})
    verbs = (
        lambda: write_report([folder], out=tmp_path / "out"),
        lambda: status_of(folder),
        lambda: finish_if_complete(folder),
        lambda: execute_steps(folder),
    )
    for verb in verbs:
        with pytest.raises(SggError, match="no name of a step"):
            verb()
    assert not (tmp_path / "out").exists()


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"1" + b" " * (RECORD_BYTES - 1))
    assert read_json(path) == 1
    path.write_bytes(b"1" + b" " * RECORD_BYTES)
    with pytest.raises(SggError, match=r"a\.json: longer than 16,777,216 bytes"):
        read_json(path)


@pytest.mark.parametrize("word", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_costs_its_file(tmp_path, word):
    """A page's own data cannot hold it."""
    open_run(compose_config(["stage=grpo", f"paths.run_dir={tmp_path}"]))
    (tmp_path / METRICS).write_text(f'{{"metrics": {{"R": {word}}}}}')
    sample = f'{{"step": 1, "image_id": "a", "kind": "rotating", "text": "", "total": {word}}}\n'
    (tmp_path / SAMPLES).write_text(sample)
    assert read_metrics(tmp_path) is None
    assert (
        f"Left out: {tmp_path / SAMPLES}, line 1: no JSON." in write_report([tmp_path]).read_text()
    )


def test_a_folder_whose_name_is_no_text_has_its_report(tmp_path):
    open_run(compose_config(["stage=sft", f"paths.run_dir={tmp_path / 'run'}"]))
    folder = (tmp_path / "run").rename(tmp_path / os.fsdecode(b"r\xffn"))
    assert "<h1>r?n</h1>" in write_report([folder]).read_text()


def test_of_a_report_a_damaged_file_costs_its_part(tmp_path):
    open_run(compose_config(["stage=sft", f"paths.run_dir={tmp_path}"]))
    append_json(tmp_path / CURVES, {"step": 1, "loss": 2.0})
    append_json(tmp_path / CURVES, {"step": 2, "loss": 1.0})
    write_json(tmp_path / METRICS, {"metrics": "x"})
    text = write_report([tmp_path]).read_text()
    assert f"Left out: {tmp_path / METRICS}: not of the form" in text
    assert "<figcaption>loss " in text
    with (tmp_path / CURVES).open("a") as file:
        file.write("[]\n")
    text = write_report([tmp_path]).read_text()
    assert "metrics.jsonl, line 3: no JSON object." in text
    assert "<figcaption>" not in text
    assert "metrics.json: not of the form" in status_table(status_of(tmp_path))
