"""The three stages, the report and prediction, on real trainers with the tiny models."""

import json
import re
import signal
import subprocess
import time

import pytest
from commands import command, environment, sgg_ok
from event_files import events, scalars
from PIL import Image
from safetensors.numpy import load_file

from sgg.config.model import Family
from sgg.models.weights import locate
from sgg.runs.records import read_starts
from sgg.tracking.state import failure_note

MODELS = [
    pytest.param(f"tiny_{f}", marks=[] if f == "qwen2_5_vl" else pytest.mark.thorough)
    for f in Family.__members__
]
GRPO = [
    *("stage=grpo", "stage.prompts_per_step=2", "stage.args.max_steps=3"),
    "stage.args.max_completion_length=48",
]
LENGTH = [
    *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
    "reward.terms.length.options.limit_chars=200",
]
"""What an untrained model earns differently at once; by its graphs it earns nothing."""


def curve(run_dir, name):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


@pytest.fixture(scope="module", params=MODELS)
def pipeline(request, tmp_path_factory):
    """SFT -> GRPO -> eval in one command, with few steps."""
    folder = tmp_path_factory.mktemp(request.param)
    done = sgg_ok(
        "pipeline=sft_grpo_eval",
        f"pipeline.steps.grpo.overrides=[{','.join(map(repr, GRPO))}]",
        f"model={request.param}",
        "reward.terms.node_box.weight=1",
        "data.train.limit=640",
        "data.eval.limit=12",
        "generate.max_new_tokens=40",
        f"paths.run_dir={folder / 'all'}",
        *("tracker=tensorboard", "seed=3"),
        cwd=folder,
    )
    return folder / "all", done, request.param


@pytest.mark.slow
def test_pipeline_hands_models_on_and_reports(pipeline):
    folder, done, _ = pipeline
    for step in ("sft", "grpo"):
        steps = json.loads((folder / step / "total.json").read_text())["steps"]
        [opening] = [x for x in done.stderr.splitlines() if x.startswith(f"{step}: model ")]
        assert f"(train 640 usable images, eval 12 usable images); {steps} steps of " in opening
    assert "; a completion for each eval image, 12 in all; " in done.stderr
    grpo = (folder / "grpo" / "config.yaml").read_text()
    assert f"path: {folder / 'sft'}" in grpo
    assert (folder / "sft" / "model" / "model.safetensors").is_file()
    metrics = json.loads((folder / "eval" / "metrics.json").read_text())
    assert metrics["images"] == metrics["completions"] == 12
    assert metrics["made_from"]["seed"] == 3
    assert "triplet recall" in done.stdout
    assert str(folder / "report.html") in done.stdout


@pytest.mark.slow
def test_a_stopped_pipeline_goes_on_from_its_frozen_configs(tmp_path):
    folder = tmp_path / "all"
    words = [
        "pipeline=sft_grpo_eval",
        "pipeline.steps.sft.overrides=['stage=sft','stage.args.max_steps=12']",
        f"pipeline.steps.grpo.overrides=[{','.join(map(repr, GRPO))}]",
        *("data.eval.limit=12", "generate.max_new_tokens=40", f"paths.run_dir={folder}"),
    ]
    process = subprocess.Popen(
        command(*words), cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not (folder / "sft" / "metrics.jsonl").is_file():
        assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "the first step does not train"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGTERM, stderr[-3000:]
    resume_command = f"Resume with: sgg resume {folder}\n"
    assert resume_command in stderr
    status = sgg_ok("status", str(folder), cwd=tmp_path).stdout
    assert status.count(resume_command.strip()) == 1
    resumed = sgg_ok("resume", str(folder), cwd=tmp_path).stdout
    assert "[1/3] sft: stage=sft\n" in resumed
    assert str(folder / "report.html") in resumed
    assert len(curve(folder / "sft", "loss")) == 12
    again = sgg_ok("resume", str(folder), cwd=tmp_path).stdout
    assert again.count(", which is finished\n") == 3
    assert [len(read_starts(folder / step)) for step in ("sft", "grpo", "eval")] == [2, 1, 1]


@pytest.mark.slow
def test_sft_lowers_the_loss(pipeline):
    losses = curve(pipeline[0] / "sft", "loss")
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
def test_grpo_logs_every_term_beside_the_total(pipeline):
    """Total = Σ weight × term: format 1, edge_hard 5, node_box 1."""
    run_dir = pipeline[0] / "grpo"
    terms = {n: curve(run_dir, f"reward/{n}/mean") for n in ("format", "edge_hard", "node_box")}
    totals = curve(run_dir, "reward/total/mean")
    assert len(totals) > 1
    for i, total in enumerate(totals):
        parts = terms["format"][i] + 5 * terms["edge_hard"][i] + terms["node_box"][i]
        assert total == pytest.approx(parts, abs=1e-4)
    assert all(0 <= v <= 1 for v in curve(run_dir, "completion/failed"))


@pytest.mark.slow
def test_report_is_one_file_that_loads_nothing(pipeline):
    html = (pipeline[0] / "report.html").read_text()
    assert '"picture":"/9j/' in html, "a JPEG"
    assert html.count("https://") == 0
    assert set(re.findall(r"http://[^\s\"']*", html)) <= {"http://www.w3.org/2000/svg"}
    assert len(re.findall(r"<script>", html)) == 1


@pytest.mark.slow
def test_provenance(pipeline):
    folder, _, model = pipeline
    for name in ("sft", "grpo", "eval"):
        start = json.loads((folder / name / "provenance.json").read_text())["starts"][-1]
        assert start["choices"]["model"] == model
        assert start["versions"]["trl"]
        assert "pipeline=sft_grpo_eval" in start["command"]


@pytest.mark.slow
def test_tensorboard_has_every_number_of_every_step_once(pipeline):
    folder, _, _ = pipeline
    for stage in ("sft", "grpo"):
        lines = (folder / stage / "metrics.jsonl").read_text().splitlines()
        wanted = {}
        for row in map(json.loads, lines):
            for name in row.keys() - {"step"}:
                if not isinstance(row[name], str):
                    wanted.setdefault(name, {}).setdefault(row["step"], row[name])
        told = scalars(folder / stage)
        assert told.keys() == wanted.keys()
        for name, points in wanted.items():
            assert told[name] == [(s, pytest.approx(v, rel=1e-6)) for s, v in points.items()]
    metrics = json.loads((folder / "eval" / "metrics.json").read_text())["metrics"]
    told = scalars(folder / "eval")
    assert [step for step, _ in told.pop("eval/step")] == [0]
    assert told == {
        f"eval/{name}": [(0, pytest.approx(value, rel=1e-6, nan_ok=True))]
        for name, value in metrics.items()
    }
    images = events(folder / "eval").Tags()["images"]
    assert {"eval/samples/0/gold", "eval/samples/0/prediction"} <= set(images)
    assert not any(failure_note(folder / stage) for stage in ("sft", "grpo", "eval"))


@pytest.mark.slow
def test_predict_from_a_run_folder(pipeline, tmp_path):
    folder, _, _ = pipeline
    Image.new("RGB", (300, 200), "white").save(tmp_path / "photo.jpg")
    done = sgg_ok("predict", str(folder / "grpo"), "photo.jpg", "out=out", cwd=tmp_path)
    written = [line for line in done.stdout.splitlines() if line.startswith("out/")]
    assert written == ["out/photo.graph.json", "out/photo.graph.png"]
    graph = json.loads((tmp_path / "out" / "photo.graph.json").read_text())
    assert (graph["width"], graph["height"]) == (300, 200)
    assert {"objects", "relationships", "problems", "text"} <= set(graph)
    assert Image.open(tmp_path / "out" / "photo.graph.png").size[0] >= 300


@pytest.mark.slow
def test_evaluation_goes_on_where_it_was_killed(pipeline, tmp_path):
    """Completions that are there are not made again; the file ends the same, also after a torn last line."""
    folder, _, model = pipeline
    words = [
        *("stage=eval", f"model={model}", f"model.path={folder / 'grpo'}", "data.eval.limit=12"),
        *("generate=sampled", "generate.batch_size=4", "generate.max_new_tokens=40"),
    ]
    sgg_ok(*words, f"paths.run_dir={tmp_path / 'whole'}", cwd=tmp_path)
    whole = (tmp_path / "whole" / "completions.jsonl").read_text()
    sgg_ok(*words, f"paths.run_dir={tmp_path / 'cut'}", cwd=tmp_path)
    part = tmp_path / "cut" / "completions.parts" / "rank0.jsonl"
    lines = part.read_text().splitlines(keepends=True)
    part.write_text("".join(lines[:6]) + lines[6][:20])
    (tmp_path / "cut" / "completions.jsonl").unlink()
    (tmp_path / "cut" / "metrics.json").unlink()
    sgg_ok("resume", str(tmp_path / "cut"), cwd=tmp_path)
    assert (tmp_path / "cut" / "completions.jsonl").read_text() == whole
    assert part.read_text().splitlines(keepends=True)[:6] == lines[:6]
    ours, theirs = (
        json.loads((tmp_path / d / "metrics.json").read_text()) for d in ("cut", "whole")
    )
    assert ours["metrics"] == theirs["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_lora_trains_adapters_and_leaves_a_whole_model(stage, model, tmp_path):
    """The final folder holds merged weights that load by model.path; vision weights are untouched."""
    words = [
        *(f"stage={stage}", f"model={model}", "debug=steps"),
        *("model.lora.enable=true", "model.lora.r=2"),
        *("stage.optimizer.kind=trl", "stage.args.learning_rate=1e-2"),
        *(
            ["stage.prompts_per_step=2", "stage.args.max_completion_length=16"]
            if stage == "grpo"
            else []
        ),
        *(LENGTH if stage == "grpo" else []),
    ]
    sgg_ok(*words, f"paths.run_dir={tmp_path / 'lora'}", cwd=tmp_path)
    before = load_file(locate(model) / "model.safetensors")
    after = load_file(tmp_path / "lora" / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    moved = {k for k in before if abs(before[k].astype("f4") - after[k].astype("f4")).max() > 1e-6}
    assert moved
    assert not {k for k in moved if "visual." in k}
    again = ["stage=eval", f"model={model}", "debug=fast", f"model.path={tmp_path / 'lora'}"]
    sgg_ok(*again, f"paths.run_dir={tmp_path / 'eval'}", cwd=tmp_path)
    assert json.loads((tmp_path / "eval" / "metrics.json").read_text())["images"] == 8


@pytest.mark.slow
def test_frozen_parts_do_not_move(tmp_path):
    sgg_ok(
        "debug=steps", "model.freeze_vision=true", f"paths.run_dir={tmp_path / 'run'}", cwd=tmp_path
    )
    before = load_file(locate("tiny_qwen2_5_vl") / "model.safetensors")
    after = load_file(tmp_path / "run" / "model" / "model.safetensors")
    moved = {k for k in before if abs(before[k].astype("f4") - after[k].astype("f4")).max() > 1e-6}
    assert moved
    assert not {k for k in moved if k.startswith("visual.") and "merger" not in k}


@pytest.mark.slow
def test_two_processes_and_accumulation_train_as_one(tmp_path):
    """Global batch 8 as 1 × 8, as 8 accumulated single samples, and as 2 processes × 4: same losses."""
    common = [
        *("stage.global_batch=8", "stage.args.max_steps=3", "data.train.limit=32"),
        *("stage.optimizer.kind=trl", "stage.args.warmup_steps=0", "hardware.threads=1"),
    ]
    ways = {
        "one": [],
        "accumulated": ["stage.micro_batch=1"],
        "two": ["hardware.processes_per_node=2"],
    }
    losses = {}
    for name, words in ways.items():
        sgg_ok(*common, *words, f"paths.run_dir={tmp_path / name}", cwd=tmp_path)
        losses[name] = curve(tmp_path / name, "loss")
    assert len(losses["one"]) == 3
    assert losses["accumulated"] == pytest.approx(losses["one"], rel=1e-5)
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-5)


@pytest.mark.slow
def test_wandb_offline_without_a_key(tmp_path):
    """No key: offline, with a message, one identity over a resumed run, no key in any file."""
    words = ["debug=steps", "tracker=wandb", f"paths.run_dir={tmp_path / 'run'}"]
    clean = {"WANDB_API_KEY": "", "HOME": str(tmp_path)}
    done = sgg_ok(*words, cwd=tmp_path, **clean)
    assert "wandb sync" in done.stderr
    first = json.loads((tmp_path / "run" / "tracker.json").read_text())["id"]
    offline = list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert [p.name.endswith(first) for p in offline] == [True]


@pytest.mark.slow
def test_a_tracker_that_fails_stops_nothing_and_leaks_nothing(tmp_path):
    """A server that cannot be reached and a key in the environment: trained, and no trace of the key."""
    key = "f" * 40
    words = ["debug=steps", "tracker=wandb", f"paths.run_dir={tmp_path / 'run'}"]
    environment = {
        "WANDB_API_KEY": key,
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_INIT_TIMEOUT": "5",
        "HOME": str(tmp_path),
    }
    sgg_ok(*words, cwd=tmp_path, **environment)
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path
