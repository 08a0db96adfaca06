"""A run that was stopped, however, and resumed ends at the same weights, bit for bit (CPU)."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from commands import command, environment, sgg_ok

from sgg.runs.checkpoint import MARKER

STAGES = {
    "sft": [
        "stage=sft",
        "stage.global_batch=4",
        "stage.shuffle_objects=true",
        "stage.args.num_train_epochs=2",
        "data.train.limit=24",  # 6 steps an epoch: checkpoints 5 and 10 lie in different epochs
    ],
    "grpo": [
        "stage=grpo",
        "stage.prompts_per_step=2",
        "stage.micro_batch=8",
        "stage.args.num_generations=4",
        "stage.args.num_train_epochs=2",
        "stage.args.max_steps=-1",
        "stage.args.max_completion_length=24",
        # what an untrained model can earn: without a reward that varies no weight would move
        "reward.terms.length.weight=1",
        *(
            "reward.terms.length.options.free_chars=0",
            "reward.terms.length.options.limit_chars=200",
        ),
        "stage.args.learning_rate=1e-3",
        "data.train.limit=12",
    ],
}
COMMON = ["stage.args.save_steps=5", "stage.args.logging_steps=1", "hardware.threads=1"]
TOTAL_STEPS = 12


def steps(run_dir):
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}")]


def rank_process(child, rank):
    """The process of one rank among the children of a supervising `sgg`."""
    started = psutil.Process(child.pid).children()
    return next(p for p in started if p.environ().get("RANK") == str(rank))


def stop_at(words, folder, run_dir, step, number, of_rank=None):
    """Start a run and send it, or one of its ranks, a signal once it has logged `step`; exit code, stderr."""
    child = subprocess.Popen(
        command(*words), cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while max(steps(run_dir), default=0) < step:
        assert child.poll() is None, child.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "the run does not get to the step"
        time.sleep(0.02)
    (child if of_rank is None else rank_process(child, of_rank)).send_signal(number)
    stderr = child.communicate(timeout=120)[1]
    return child.returncode, stderr


def weights(run_dir):
    return (run_dir / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module", params=list(STAGES))
def undisturbed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    words = [*STAGES[request.param], *COMMON]
    sgg_ok(*words, f"paths.run_dir={folder / 'whole'}", cwd=folder)
    assert max(steps(folder / "whole")) == TOTAL_STEPS
    rows = [
        json.loads(line) for line in (folder / "whole" / "metrics.jsonl").read_text().splitlines()
    ]
    assert max(row.get("grad_norm", 0) for row in rows) > 0, "nothing is learnt"
    return folder, words


@pytest.mark.parametrize(
    ("undisturbed", "number"),
    [
        pytest.param("sft", signal.SIGKILL, marks=pytest.mark.thorough),
        ("sft", signal.SIGTERM),
        pytest.param("sft", signal.SIGINT, marks=pytest.mark.thorough),
        ("grpo", signal.SIGKILL),
        pytest.param("grpo", signal.SIGTERM, marks=pytest.mark.thorough),
        pytest.param("grpo", signal.SIGINT, marks=pytest.mark.thorough),
    ],
    indirect=["undisturbed"],
)
def test_stopped_and_resumed_ends_at_the_same_weights(undisturbed, number):
    """Killed in the second epoch, resumed from a checkpoint of either epoch, also with half ones about."""
    folder, words = undisturbed
    run_dir = folder / f"stopped-{number.name}"
    code, stderr = stop_at([*words, f"paths.run_dir={run_dir}"], folder, run_dir, 8, number)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
        half = run_dir / "checkpoint-9"  # as a kill in the middle of saving leaves it
        shutil.copytree(run_dir / "checkpoint-5", half)
        (half / MARKER).unlink()
        (half / "model.safetensors").write_bytes(b"half")
    else:
        assert code == 128 + number, stderr[-3000:]
        assert f"sgg resume {run_dir}" in stderr
        assert "Traceback" not in stderr
    sgg_ok("resume", str(run_dir), cwd=folder)
    assert weights(run_dir) == weights(folder / "whole")
    logged = [s for s in steps(run_dir) if s <= TOTAL_STEPS]
    assert sorted(set(logged)) == list(range(1, TOTAL_STEPS + 1))
    assert not (run_dir / "checkpoint-9" / "model.safetensors").exists() or number != signal.SIGKILL


@pytest.mark.parametrize(
    ("undisturbed", "number"),
    [
        ("sft", signal.SIGUSR2),
        pytest.param("sft", signal.SIGKILL, marks=pytest.mark.thorough),
        pytest.param("grpo", signal.SIGUSR2, marks=pytest.mark.thorough),
        pytest.param("grpo", signal.SIGKILL, marks=pytest.mark.thorough),
    ],
    indirect=["undisturbed"],
)
def test_a_rank_of_two_that_is_hit_ends_both_and_resumes(undisturbed, number):
    """SIGKILL: the supervisor names the rank. SIGUSR2 to one rank alone: all save at the same step."""
    folder, words = undisturbed
    words = [
        *words,
        "hardware.processes_per_node=2",
        "stage.optimizer.kind=trl",
        "stage.micro_batch=null",
    ]
    whole, run_dir = folder / "two-whole", folder / f"two-{number.name}"
    sgg_ok(*words, f"paths.run_dir={whole}", cwd=folder)
    code, stderr = stop_at(
        [*words, f"paths.run_dir={run_dir}"], folder, run_dir, 8, number, of_rank=1
    )
    assert code == (1 if number == signal.SIGKILL else 128 + number), stderr[-3000:]
    ending = json.loads((run_dir / "exit.json").read_text())
    if number == signal.SIGKILL:
        assert ending["state"] == "failed"
        assert "rank1 on node 0 (127.0.0.1) was killed by SIGKILL" in ending["reason"]
    else:
        assert ending["state"] == "stopped"
    sgg_ok("resume", str(run_dir), cwd=folder)
    assert weights(run_dir) == weights(whole)


def test_a_finished_run_is_left_alone(undisturbed):
    folder, words = undisturbed
    before = (folder / "whole" / "model" / "model.safetensors").stat().st_mtime_ns
    sgg_ok(*words, f"paths.run_dir={folder / 'whole'}", cwd=folder)
    assert (folder / "whole" / "model" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.thorough
def test_a_run_killed_after_its_last_step_makes_no_further_one(tmp_path):
    """In the middle of an epoch, where the data have more to give: the final model alone is written."""
    run_dir = tmp_path / "run"
    words = [word for word in [*STAGES["sft"], *COMMON] if "num_train_epochs" not in word]
    words += ["stage.args.max_steps=3", f"paths.run_dir={run_dir}"]
    sgg_ok(*words, cwd=tmp_path)
    whole = weights(run_dir)
    shutil.rmtree(run_dir / "model")
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert max(steps(run_dir)) == 3
    assert weights(run_dir) == whole


def test_old_checkpoints_go_and_keys_stay_out(undisturbed):
    """keep_checkpoints=2; no pickled arguments with the model; nothing of the environment in the run."""
    folder, _ = undisturbed
    whole = folder / "whole"
    assert sorted(p.name for p in whole.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-12"]
    assert not list((whole / "model").glob("*.bin"))
    assert (whole / "model" / MARKER).is_file()
    assert Path(whole / "report.html").is_file()
