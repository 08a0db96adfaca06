"""What wandb holds of a pipeline that was killed and resumed, by its own reader."""

import base64
import hashlib
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import command, environment, sgg_ok
from wandb_files import history, records

from sgg.runs.training_samples import SampleKind, read_samples
from sgg.tracking.names import known
from sgg.tracking.state import failure_note

STEPS = {"sft": 8, "grpo": 2}
KEY = "3141592653589793238462643383279502884197"
KILLED_AFTER = 5
"""Step of SFT; the last checkpoint before it is that of step 3."""

OF_STEP = {
    "sft": [
        *("stage=sft", "stage.global_batch=4", "stage.args.save_steps=3"),
        *("tracker.samples_every=4", "generate.max_new_tokens=16"),
        f"stage.args.max_steps={STEPS['sft']}",
    ],
    "grpo": [
        *("stage=grpo", "stage.prompts_per_step=2", "stage.args.num_generations=4"),
        *("stage.args.max_completion_length=32", f"stage.args.max_steps={STEPS['grpo']}"),
    ],
}
WORDS = [
    "pipeline=sft_grpo_eval",
    *(f"pipeline.steps.{k}.overrides=[{','.join(map(repr, v))}]" for k, v in OF_STEP.items()),
    *("data.train.limit=48", "data.eval.limit=6", "generate.max_new_tokens=32"),
    *("hardware.threads=1", "tracker.samples=3"),
]


def logged(run_dir):
    """Step -> its numbers in metrics.jsonl."""
    steps = {}
    for line in (run_dir / "metrics.jsonl").read_text().split("\n")[:-1]:
        row = json.loads(line)
        numbers = {k: v for k, v in row.items() if not isinstance(v, str)}
        steps.setdefault(row["step"], {}).update(numbers)
    return steps


@pytest.fixture(scope="module")
def by_wandb(tmp_path_factory):
    """The pipeline's folder, and what the second start printed."""
    folder = tmp_path_factory.mktemp("wandb")
    words = [*WORDS, "tracker=wandb", f"paths.run_dir={folder / 'all'}"]
    env = environment(folder, WANDB_API_KEY=KEY, WANDB_MODE="offline", HOME=str(folder))
    with (folder / "stderr").open("wb") as stderr:
        child = subprocess.Popen(command(*words), cwd=folder, env=env, stderr=stderr)
    curves = folder / "all" / "sft" / "metrics.jsonl"
    deadline = time.monotonic() + 600
    while not curves.is_file() or max(logged(curves.parent), default=0) < KILLED_AFTER:
        assert child.poll() is None, (folder / "stderr").read_text()[-3000:]
        assert time.monotonic() < deadline, "the run does not get to the step"
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    done = sgg_ok(*words, cwd=folder, WANDB_API_KEY=KEY, WANDB_MODE="offline", HOME=str(folder))
    return folder / "all", done


@pytest.mark.slow
def test_the_tracker_did_not_fail(by_wandb):
    folder, done = by_wandb
    assert "tracker" not in done.stderr
    for name in ("sft", "grpo", "eval"):
        assert failure_note(folder / name) is None
        assert "tracker failed" not in (folder / name / "run.log").read_text()
        assert "could not start" not in (folder / name / "run.log").read_text()


@pytest.mark.slow
def test_wandb_has_three_runs_each_with_all_its_steps_once(by_wandb):
    """One file each with every number of metrics.jsonl: of steps made twice, those that the run kept."""
    folder, _ = by_wandb
    names = set()
    for stage in (*STEPS, "eval"):
        [file] = (folder / stage).rglob("*.wandb")
        names.add(file.name)
        identity = json.loads((folder / stage / "tracker.json").read_text())["id"]
        assert file.name == f"run-{identity}.wandb"
        [ending] = records(file, "exit")
        assert ending["exit_code"] == 0
    assert len(names) == 3
    for stage, last in STEPS.items():
        [file] = (folder / stage).rglob("*.wandb")
        rows = history(file)
        assert [row["_step"] for row in rows] == list(range(1, last + 1))
        named = {"loss", "learning_rate", "grad_norm", "tokens", "speed/step_s"}
        if stage == "grpo":
            named |= {"reward/total/mean", "reward/no_variance", "completion/failed"}
        assert named <= rows[0].keys()
        kept = logged(folder / stage)
        for row in rows:
            told = {k: v for k, v in row.items() if not k.startswith(("_", "samples/"))}
            assert all(known(name) for name in told.keys() - {"step"})
            assert told == pytest.approx(kept[row["_step"]])


@pytest.mark.slow
def test_wandb_has_evaluations_numbers_and_images(by_wandb):
    folder = by_wandb[0] / "eval"
    [file] = folder.rglob("*.wandb")
    [row] = history(file)
    assert row["_step"] == 0
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert row["eval/step"] == STEPS["grpo"]
    wanted = {f"eval/{name}": pytest.approx(value, nan_ok=True) for name, value in metrics.items()}
    assert {name: row[name] for name in wanted} == wanted
    summary = {k: v for part in records(file, "summary") for k, v in part["update"].items()}
    assert {name: summary[name] for name in wanted} == wanted
    assert row["eval/samples.nrows"] == 3
    [artifact] = records(file, "artifact")
    contents = artifact["manifest"]["contents"]
    assert len([c for c in contents if c["path"].endswith(".jpg")]) == 6
    for content in contents:  # all of it is in the run folder: it can be uploaded from elsewhere
        stored = Path(content["local_path"])
        assert stored.is_relative_to(folder)
        assert stored.stat().st_size == int(content["size"])


def tables(run_dir):
    """Table -> the steps that have it, and the images of each."""
    [file] = run_dir.rglob("*.wandb")
    found = {}
    for row in history(file):
        for name in {key.partition(".")[0] for key in row if key.startswith("samples/")}:
            found.setdefault(name, []).append((row["_step"], row[f"{name}.nrows"]))
    pictures = [
        [c for c in artifact["manifest"]["contents"] if c["path"].endswith(".jpg")]
        for artifact in records(file, "artifact")
        if artifact["type"] == "run_table"
    ]
    return found, [len(contents) for contents in pictures]


@pytest.mark.slow
def test_wandb_has_tables_of_samples_gold_beside_prediction(by_wandb):
    """Of SFT the images that stay the same, of GRPO those of its steps, again after the kill."""
    folder, _ = by_wandb
    found, pictures = tables(folder / "sft")
    assert found == {"samples/fixed": [(1, 3), (3, 3), (5, 3), (7, 3), (8, 3)]}
    assert [s.step for s in read_samples(folder / "sft")] == [0] * 3 + [4] * 3 + [8] * 3
    assert pictures == [6] * 5
    found, pictures = tables(folder / "grpo")
    assert found == {"samples/rotating": [(1, 3), (2, 3)]}
    assert {s.kind for s in read_samples(folder / "grpo")} == {SampleKind.rotating}
    assert all(1 <= count <= 6 for count in pictures)  # equal pictures are kept once


@pytest.mark.slow
def test_wandb_has_where_the_model_is_and_whence_it_came(by_wandb):
    folder, _ = by_wandb
    for stage in STEPS:
        [file] = (folder / stage).rglob("*.wandb")
        [model] = [a for a in records(file, "artifact") if a["type"] == "model"]
        contents = {c["path"]: c for c in model["manifest"]["contents"]}
        weights = folder / stage / "model" / "model.safetensors"
        assert contents["model.safetensors"]["ref"] == weights.as_uri()
        digest = base64.b64encode(hashlib.md5(weights.read_bytes()).digest()).decode()
        assert contents["model.safetensors"]["digest"] == digest
        assert not any("local_path" in content for content in contents.values())
        [run] = records(file, "run")
        config = run["config"]["update"]
        assert config["stage"]["name"] == stage
        assert config["provenance"]["versions"].keys() >= {"torch", "trl"}


@pytest.mark.slow
def test_the_key_is_nowhere(by_wandb):
    """Neither in the run folder nor in what was printed, nor in what wandb keeps in the home."""
    folder = by_wandb[0].parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in by_wandb[1].stdout + by_wandb[1].stderr


@pytest.mark.slow
def test_the_killed_starts_file_is_kept_where_an_upload_does_not_find_it(by_wandb):
    folder, _ = by_wandb
    assert len(list((folder / "sft" / "wandb" / "replaced").glob("offline-run-*/*.replaced"))) == 1
