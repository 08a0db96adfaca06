"""Evaluation while training: `stage=eval`'s numbers, the same record after a kill, weights unchanged."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from commands import command, environment, sgg, sgg_ok

from sgg.runs.checkpoint import checkpoints
from sgg.runs.progress import read_curves
from sgg.runs.records import read_best, read_metrics
from sgg.train.best import evaluations

pytestmark = pytest.mark.slow
STEPS, KILLED_AT = 20, 14
# two images of few objects, learnt by heart: their metrics move within a few steps
IMAGES = [
    *("data.train.limit=2", "data.eval.limit=3", "data.train.seed=0", "data.eval.seed=0"),
    *("data.shapes.max_objects=2", "hardware.threads=1"),
]
LENGTH = "generate.max_new_tokens=120"
SFT = ["stage=sft", "stage.global_batch=2", "stage.args.save_steps=9", *IMAGES]
SFT += [f"stage.args.max_steps={STEPS}", "stage.keep_checkpoints=1"]
VLLM = "hardware.rollout.max_length=1024"
EVALUATED = ["stage.evaluate.every_steps=6", "stage.evaluate.images=2", LENGTH]
BEST = "stage.evaluate.keep_best=failure_rate"
GRPO = [
    *("stage=grpo", "stage.prompts_per_step=2", "stage.args.num_generations=4", *IMAGES),
    *("stage.args.max_completion_length=40", "stage.args.learning_rate=1e-3"),
    "stage.args.max_steps=3",
    *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
    "reward.terms.length.options.limit_chars=200",
]


SIGNALLED = """
import os, signal, sys
import launchers.local
from sgg.evaluation.held_out import HeldOut
from sgg.main import main

score = HeldOut.score
evaluations = []

def scored(self, found):
    evaluations.append(1)
    if len(evaluations) == 2:  # that of step 6
        os.kill(os.getpid(), signal.SIGTERM)
    return score(self, found)

HeldOut.score = scored
launchers.local.launch = lambda frozen, config, run_stage: run_stage(frozen)
main()
"""


def weights(run_dir):
    return (run_dir / "model" / "model.safetensors").read_bytes()


def record(run_dir):
    """The evaluations, without how long they took."""
    rows = evaluations(read_curves(run_dir))
    return [{k: v for k, v in row.items() if not k.startswith("speed/")} for row in rows]


def metrics(row):
    return {k.removeprefix("eval/"): v for k, v in row.items() if k not in ("step", "eval/step")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    done = sgg_ok(*SFT, *EVALUATED, BEST, f"paths.run_dir={folder / 'whole'}", cwd=folder)
    return folder, folder / "whole", done.stderr


def test_it_is_evaluated_before_every_few_steps_and_at_the_end(trained):
    _, run_dir, said = trained
    rows = record(run_dir)
    assert [row["step"] for row in rows] == [0, 6, 12, 18, STEPS]
    assert all(row["eval/step"] == row["step"] for row in rows)
    failed = [row["eval/failure_rate"] for row in rows]
    assert failed[0] == 1
    assert min(failed) < 0.5, "nothing is learnt"
    assert "; evaluated every 6 steps on the first 2 images of data.eval by transformers" in said
    assert f"step {STEPS}: failure_rate " in said
    last = {name: value for row in read_curves(run_dir) for name, value in row.items()}
    assert 0 < last["speed/evaluation_share"] < 1
    assert f"{100 * last['speed/evaluation_share']:.0f} % of this start" in said


def test_a_signal_during_an_evaluation_stops_the_run_behind_it(trained, tmp_path):
    _, whole, _ = trained
    run_dir = tmp_path / "run"
    words = [*SFT, *EVALUATED, BEST, f"paths.run_dir={run_dir}"]
    process = [sys.executable, "-c", SIGNALLED, *words]
    done = subprocess.run(
        process, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "checkpoint-6" in {folder.name for folder in checkpoints(run_dir)}, done.stderr
    assert max(row["step"] for row in read_curves(run_dir)) == 6
    assert record(run_dir) == record(whole)[:2]
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert record(run_dir) == record(whole)
    assert weights(run_dir) == weights(whole)


def test_a_best_step_at_an_epochs_end_is_saved_once(tmp_path):
    words = ["stage=sft", "stage.global_batch=1", *IMAGES, "generate.max_new_tokens=4", BEST]
    words += ["stage.evaluate.every_steps=2", "stage.evaluate.images=1"]
    words += ["stage.args.save_strategy=epoch", "stage.args.num_train_epochs=1"]
    done = sgg_ok(*words, f"paths.run_dir={tmp_path / 'run'}", cwd=tmp_path)
    assert read_best(tmp_path / "run").step == 2
    assert done.stderr.count("Writing model shards: 100%") == 2  # the checkpoint's, and the run's


def test_the_best_checkpoint_stays_and_can_be_named(trained):
    folder, run_dir, _ = trained
    best, rows = read_best(run_dir), record(run_dir)
    value, step = min((row["eval/failure_rate"], row["step"]) for row in rows[1:])
    assert (best.value, best.step, best.images, best.protocol) == (value, step, 2, "shapes")
    assert best.step < STEPS  # or nothing would have to be kept
    assert [c.name for c in checkpoints(run_dir)] == [best.checkpoint, f"checkpoint-{STEPS}"]
    words = ["stage=eval", f"model.path={run_dir}/best", *IMAGES, "data.eval.limit=2", LENGTH]
    sgg_ok(*words, f"paths.run_dir={folder / 'alone'}", cwd=folder)
    (row,) = (row for row in rows if row["step"] == best.step)
    assert metrics(row) == read_metrics(folder / "alone").metrics


def test_killed_and_resumed_it_has_the_same_record_best_and_weights(trained):
    folder, whole, _ = trained
    run_dir = folder / "killed"
    words = [*SFT, *EVALUATED, BEST, f"paths.run_dir={run_dir}"]
    child = subprocess.Popen(command(*words), cwd=folder, env=environment(folder))
    deadline = time.monotonic() + 300
    while max((row["step"] for row in read_curves(run_dir)), default=0) < KILLED_AT:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (run_dir / "model").exists()
    done = sgg_ok("resume", str(run_dir), cwd=folder)
    assert "is no longer in" not in done.stderr
    assert record(run_dir) == record(whole)
    assert (run_dir / "best.json").read_bytes() == (whole / "best.json").read_bytes()
    assert [c.name for c in checkpoints(run_dir)] == [c.name for c in checkpoints(whole)]
    assert weights(run_dir) == weights(whole)


def test_an_evaluation_of_a_training_that_goes_on_stays_with_its_checkpoint(trained, tmp_path):
    _, whole, _ = trained
    training, run_dir = tmp_path / "training", tmp_path / "alone"
    shutil.copytree(whole, training, ignore=shutil.ignore_patterns("model"))
    best = read_best(training)
    words = ["stage=eval", f"model.path={training}/best", *IMAGES, "data.eval.limit=2"]
    sgg_ok(*words, "generate.max_new_tokens=4", f"paths.run_dir={run_dir}", cwd=tmp_path)
    first = json.loads((run_dir / "metrics.json").read_text())
    assert first["made_from"]["model"] == str(training / best.checkpoint)
    for name in ("metrics.json", "completions.jsonl"):
        (run_dir / name).unlink()
    named = json.loads((training / "best.json").read_text())
    newer = {"step": STEPS, "checkpoint": f"checkpoint-{STEPS}"}
    (training / "best.json").write_text(json.dumps(named | newer))
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert json.loads((run_dir / "metrics.json").read_text()) == first
    (run_dir / "metrics.json").unlink()
    shutil.rmtree(training / best.checkpoint)
    done = sgg("resume", str(run_dir), cwd=tmp_path)
    assert done.returncode != 0
    assert f"{best.checkpoint} is no longer in {training}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", ["removed", "damaged"])
def test_a_best_checkpoint_that_is_gone_is_not_called_kept(trained, tmp_path, what):
    _, whole, _ = trained
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir, ignore=shutil.ignore_patterns("model"))
    best = read_best(run_dir)
    folder = run_dir / best.checkpoint
    if what == "removed":
        shutil.rmtree(folder)
    else:
        (folder / "model.safetensors").write_bytes(b"")
    done = sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert (
        f"{best.checkpoint}, the best one by failure_rate ({best.value:.3f}), is no" in done.stderr
    )
    assert f"at step {best.step}, but {best.checkpoint} is no longer there" in done.stderr
    assert "kept as" not in done.stderr
    assert read_best(run_dir) == best
    assert record(run_dir) == record(whole)


def test_a_damaged_best_file_is_refused_before_training(trained, tmp_path):
    _, whole, _ = trained
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir, ignore=shutil.ignore_patterns("model"))
    (run_dir / "best.json").write_text('{"step": ')
    done = sgg("resume", str(run_dir), cwd=tmp_path)
    assert done.returncode != 0
    assert (
        f"{run_dir}/best.json: no JSON. Remove it: a training that is resumed writes" in done.stderr
    )
    assert "going on from" not in done.stderr
    (run_dir / "best.json").unlink()
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert read_best(run_dir) == read_best(whole)


def test_no_weight_depends_on_it(trained):
    folder, whole, _ = trained
    sgg_ok(*SFT, f"paths.run_dir={folder / 'plain'}", cwd=folder)
    assert weights(folder / "plain") == weights(whole)


def test_without_a_gain_training_ends_and_a_resumed_run_makes_no_further_step(tmp_path):
    run_dir = tmp_path / "run"
    words = ["stage.evaluate.every_steps=2", "stage.evaluate.images=1", "stage.evaluate.patience=1"]
    words += ["stage.evaluate.keep_best=R", "generate.max_new_tokens=4", "stage.args.save_steps=4"]
    done = sgg_ok(*SFT, *words, f"paths.run_dir={run_dir}", cwd=tmp_path)
    assert "R has not become better in 1 evaluations" in done.stderr
    assert [row["step"] for row in record(run_dir)] == [0, 2, 4]
    assert json.loads((run_dir / "model" / "trained.json").read_text())["steps"] == 4
    before = weights(run_dir)
    shutil.rmtree(run_dir / "model")
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert max(row["step"] for row in read_curves(run_dir)) == 4
    assert weights(run_dir) == before


def test_two_processes_share_the_images(trained):
    """Batches of one image, so that each process has one; the metrics are those of a single process."""
    folder, start, _ = trained
    words = [*SFT, *EVALUATED, f"model.path={start}", "stage.args.max_steps=1", BEST]
    words += ["hardware.processes_per_node=2", "stage.optimizer.kind=trl", "generate.batch_size=1"]
    run_dir = folder / "two"
    sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=folder)
    assert [row["step"] for row in record(run_dir)] == [0, 1]
    assert metrics(record(run_dir)[0]) == metrics(record(start)[-1])
    assert read_best(run_dir).checkpoint == "checkpoint-1"


@pytest.mark.parametrize(
    "mode", ["trainer", pytest.param("colocate", marks=[pytest.mark.vllm, pytest.mark.thorough])]
)
def test_grpo_is_evaluated_by_what_generates_for_it(trained, mode):
    """From the trained model: vLLM's metrics are those of transformers, and no weight depends on them."""
    folder, start, _ = trained
    words = [*GRPO, f"model.path={start}", f"hardware.rollout.mode={mode}"]
    words += [VLLM] if mode == "colocate" else []
    run_dir, plain = folder / mode, folder / f"{mode}-plain"
    every = ["stage.evaluate.every_steps=2", "stage.evaluate.images=2", LENGTH]
    done = sgg_ok(*words, *every, f"paths.run_dir={run_dir}", cwd=folder)
    engine = "transformers" if mode == "trainer" else "the rollouts' vLLM"
    assert f"images of data.eval by {engine} (protocol shapes)\n" in done.stderr
    rows = record(run_dir)
    assert [row["step"] for row in rows] == [0, 2, 3]
    assert metrics(rows[0]) == metrics(record(start)[-1])
    assert not (run_dir / "best.json").exists()
    sgg_ok(*words, f"paths.run_dir={plain}", cwd=folder)
    assert weights(run_dir) == weights(plain)


@pytest.mark.thorough
@pytest.mark.vllm
def test_a_rollout_server_completes_the_images(trained):
    folder, start, _ = trained
    words = [*GRPO, f"model.path={start}", "hardware.rollout.mode=server", "stage.args.max_steps=1"]
    words += [VLLM, "stage.evaluate.every_steps=2", "stage.evaluate.images=2", LENGTH]
    sgg_ok(*words, f"paths.run_dir={folder / 'server'}", cwd=folder)
    rows = record(folder / "server")
    assert [row["step"] for row in rows] == [0, 1]
    assert metrics(rows[0]) == metrics(record(start)[-1])
