"""What is read of a run folder, and of one that somebody has spoilt."""

import json
import os
import sys

import pytest

from sgg.config.compose import compose_config
from sgg.files import write_json, write_whole
from sgg.runs.checkpoint import mark_complete
from sgg.runs.folder import append_json, record_start
from sgg.runs.open_run import open_run
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples
from sgg.watch.run_files import RunFiles, shown_names

DAY = 1_800_000_000.0


def begin(run_dir, *words):
    config = compose_config([*words, "model=tiny_qwen2_vl", f"paths.run_dir={run_dir}"])
    open_run(config)
    record_start(run_dir, config)


@pytest.fixture
def run_dir(tmp_path):
    """A training run of 40 steps that has begun at `DAY`."""
    folder = tmp_path / "run"
    begin(folder, "stage=grpo", "reward=hard_recall")
    write_json(folder / "total.json", {"steps": 40})
    os.utime(folder / "total.json", (DAY, DAY))
    return folder


def log(run_dir, step, at=None, **values):
    append_json(run_dir / "metrics.jsonl", {"step": step, **values})
    if at is not None:
        os.utime(run_dir / "metrics.jsonl", (at, at))


def test_before_the_first_step(run_dir):
    facts = RunFiles(run_dir).look(0.0, DAY)
    assert (facts.stage, facts.model) == ("grpo", "tiny_qwen2_vl")
    assert (facts.progress, facts.sample, facts.checkpoint, facts.curves) == (None, None, None, {})
    assert facts.notes == ()


def test_a_folder_that_is_empty(tmp_path):
    facts = RunFiles(tmp_path).look(0.0, DAY)
    assert (facts.stage, facts.progress, facts.notes) == ("", None, ())


def test_steps_curves_and_rate(run_dir):
    """10 steps in 30 s from the start of training, the last one 2 s ago: 30 steps at 3 s, less 2 s."""
    log(run_dir, 5, loss=2.0)
    log(run_dir, 10, at=DAY + 30, loss=1.0)
    facts = RunFiles(run_dir).look(0.0, DAY + 32)
    progress = facts.progress
    assert (progress.done, progress.total, progress.per_unit_s) == (10, 40, 3.0)
    assert (progress.since_last_s, progress.left_s) == (2.0, 88.0)
    assert (facts.curves["loss"].first, facts.curves["loss"].last) == (2.0, 1.0)


def test_a_requeued_run_is_read_anew_and_its_pause_does_not_count(run_dir):
    files = RunFiles(run_dir)
    log(run_dir, 10, loss=2.0)
    files.look(0.0, DAY)
    log(run_dir, 20, loss=1.5)
    assert files.look(20.0, DAY).progress.per_unit_s == 2.0
    write_whole(run_dir / "metrics.jsonl", '{"step": 10, "loss": 2.0}\n')  # as a resumed run begins
    record_start(run_dir, compose_config(["stage=grpo", "reward=hard_recall"]))
    facts = files.look(3620.0, DAY)
    assert (facts.progress.done, facts.progress.per_unit_s, facts.restarts) == (10, None, 1)
    assert facts.curves["loss"].last == 2.0
    log(run_dir, 15, loss=1.8)
    assert files.look(3635.0, DAY).progress.per_unit_s == 3.0


def test_the_rate_that_is_logged_is_taken_before_two_looks(run_dir):
    for step in range(1, 4):
        log(run_dir, step, **{"loss": 1.0, "speed/step_s": float(step)})
    assert RunFiles(run_dir).look(0.0, DAY).progress.per_unit_s == 2.0


def test_names_that_are_shown_and_their_order():
    names = ("step", "epoch", "grad_norm", "speed/step_s", "speed/memory_gb", "completion/failed")
    names += ("completion/failed/no_json", "completion/length/mean", "completion/length/max")
    names += ("reward/b/mean", "reward/b/std", "reward/total/mean", "reward/a/mean", "loss")
    names += ("reward/no_variance", "reward/a/weight", "completion/length_ended/mean")
    names += ("eval/step", "eval/R", "eval/mR", "eval/R@50", "eval/failure_rate")
    assert shown_names(dict.fromkeys(names)) == [
        *("loss", "reward/total/mean", "eval/R", "eval/failure_rate", "eval/mR"),
        *("reward/a/mean", "reward/b/mean", "reward/no_variance"),
        *("completion/failed", "completion/length/mean", "speed/memory_gb"),
    ]


def test_the_last_sample(run_dir):
    files = RunFiles(run_dir)
    first = TrainingSample(1, "a.png", SampleKind.rotating, "{}", {"node_box": 0.5}, 0.5)
    append_samples(run_dir, [first, TrainingSample(2, "b.png", SampleKind.fixed, "[]")])
    assert files.look(0.0, DAY).sample.image_id == "b.png"
    append_samples(run_dir, [first])
    sample = files.look(0.0, DAY).sample
    assert (sample.step, sample.reward, sample.total) == (1, {"node_box": 0.5}, 0.5)


def test_the_newest_checkpoint_that_is_complete(run_dir):
    for step in (5, 10, 15):
        (run_dir / f"checkpoint-{step}").mkdir()
        if step < 15:
            mark_complete(run_dir / f"checkpoint-{step}")
    os.utime(run_dir / "checkpoint-10" / "whole.json", (DAY, DAY))
    assert RunFiles(run_dir).look(0.0, DAY + 90).checkpoint == ("checkpoint-10", 90.0)


def test_the_best_checkpoint_and_the_last_value_of_its_metric(run_dir):
    files = RunFiles(run_dir)
    assert files.look(0.0, DAY).best is None
    for step, value in ((20, 0.5), (40, 0.25)):
        log(run_dir, step, **{"eval/step": step, "eval/R@50": value, "eval/R": 0.9})
    best = {"metric": "R@50", "step": 20, "value": 0.5, "checkpoint": "checkpoint-20"}
    write_json(run_dir / "best.json", best | {"images": 2, "protocol": "vg"})
    found, last = files.look(1.0, DAY).best
    assert (found.checkpoint, found.value, last) == ("checkpoint-20", 0.5, 0.25)
    (run_dir / "best.json").write_text("{")
    facts = files.look(2.0, DAY)
    assert facts.best is None
    assert "best.json: no JSON" in facts.notes[0]


def test_an_evaluation_by_two_ranks(tmp_path):
    begin(tmp_path, "stage=eval", "generate.num_completions=2")
    kept = {"images": 50}
    report = {"read": {}, "kept": kept, "issues": {}, "shown": {}, "zero_shot_triplets": 0}
    write_json(tmp_path / "data.json", {"split": "eval", "warnings": [], "report": report})
    parts = tmp_path / "completions.parts"
    parts.mkdir()
    files = RunFiles(tmp_path)
    for rank in (0, 1):
        append_json(parts / f"rank{rank}.jsonl", {"image_id": "a", "index": rank, "text": "{}"})
    assert files.look(0.0, DAY).progress.done == 2
    for index in range(18):
        append_json(parts / "rank0.jsonl", {"image_id": index, "index": 0, "text": "last"})
    facts = files.look(36.0, DAY)
    assert (facts.progress.unit, facts.progress.done, facts.progress.total) == (
        "completion",
        20,
        100,
    )
    assert facts.progress.left_s == 160.0  # 80 at 2 s
    assert (facts.sample.image_id, facts.sample.text) == ("17", "last")
    rows = "".join(path.read_text() for path in sorted(parts.glob("*")))
    (tmp_path / "completions.jsonl").write_text(rows)  # merged; the parts stay
    assert files.look(50.0, DAY).progress.done == 20


def test_a_damaged_line_is_a_note_that_stays_and_the_rest_is_shown(run_dir):
    files = RunFiles(run_dir)
    log(run_dir, 1, loss=2.0)
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write("{\n")
    log(run_dir, 2, loss=1.0)
    assert "metrics.jsonl, line 2" in files.look(0.0, DAY).notes[0]
    facts = files.look(1.0, DAY)
    assert (facts.progress.done, facts.curves["loss"].last) == (2, 1.0)
    assert "metrics.jsonl, line 2" in facts.notes[0]
    write_whole(run_dir / "metrics.jsonl", '{"step": 1, "loss": 2.0}\n')
    assert files.look(2.0, DAY).notes == ()


HUGE = 10**400


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("total.json", {"steps": HUGE}),
        ("total.json", {"steps": -5}),
        ("total.json", []),
        ("metrics.jsonl", {"step": HUGE}),
        ("metrics.jsonl", {"step": 3, "loss": float("nan")}),
        ("metrics.jsonl", {"step": 3, "loss": {}}),
        ("metrics.jsonl", {f"reward/{i}": 1.0 for i in range(10_000)}),
        ("samples.jsonl", {"step": 3}),
        ("data.json", 3),
        ("provenance.json", {"starts": 3}),
        ("best.json", {"metric": 3}),
        ("config.yaml", {"model": {"path": "${oc.env:HOME}"}}),
        ("metrics.json", {}),
    ],
)
def test_what_a_stranger_may_have_written_ends_nothing(run_dir, name, content):
    log(run_dir, 2, loss=1.0)
    with (run_dir / name).open("a" if name == "metrics.jsonl" else "w") as file:
        file.write(json.dumps(content) + "\n")
    files = RunFiles(run_dir)
    for now_s in (0.0, 30.0):
        facts = files.look(now_s, DAY)
    assert facts.progress.done in (2, 3)
    assert len(facts.curves) < 300


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl", "total.json", "config.yaml"])
def test_no_link_is_followed(run_dir, tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text('{"step": 7, "loss": 123.0}\n')
    (run_dir / name).unlink(missing_ok=True)
    (run_dir / name).symlink_to(outside)
    facts = RunFiles(run_dir).look(0.0, DAY)
    assert facts.curves == {}
    assert any("symbolic link" in note for note in facts.notes) or name == "total.json"


def test_linked_folders_are_not_entered(run_dir, tmp_path):
    outside = tmp_path / "outside"
    (outside / "x").mkdir(parents=True)
    append_json(outside / "rank0.jsonl", {"image_id": "a", "index": 0, "text": "secret"})
    mark_complete(outside)
    (run_dir / "completions.parts").symlink_to(outside)
    (run_dir / "checkpoint-9").symlink_to(outside)
    facts = RunFiles(run_dir).look(0.0, DAY)
    assert (facts.sample, facts.checkpoint) == (None, None)


def test_what_the_config_names_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "spy_of_watch.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    words = [
        "stage=grpo",
        "reward.terms.own.import_path=spy_of_watch:term",
        "reward.terms.own.weight=1",
    ]
    begin(tmp_path / "run", *words)
    assert RunFiles(tmp_path / "run").look(0.0, DAY).stage == "grpo"
    assert "spy_of_watch" not in sys.modules
