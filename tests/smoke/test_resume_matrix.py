"""The table of docs/resume.md, cell by cell: a run that was stopped and resumed ends at the same weights.

Bit for bit, on a CPU; with the optimiser in CPU memory, to rounding.
"""

import json
import os
import shutil
import signal
import time
from itertools import product
from pathlib import Path

import psutil
import pytest
import torch
from commands import command, environment, sgg_ok
from safetensors.torch import load_file

from sgg.config.model import Family, LoraConfig, ModelConfig
from sgg.models.load import load_model
from sgg.models.weights import locate

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

COMMON = [
    *("hardware.threads=1", "stage.args.logging_steps=1", "stage.args.warmup_steps=0"),
    *("stage.args.max_steps=6", "stage.args.save_steps=2"),
]
_GRPO = [
    *("stage=grpo", "stage.prompts_per_step=2", "stage.micro_batch=2", "data.train.limit=12"),
    *("stage.args.num_generations=4", "stage.args.max_completion_length=24"),
    # the untrained model earns nothing by its graphs; by its lengths it learns at once
    *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
    "reward.terms.length.options.limit_chars=200",
]
STAGES = {
    "sft": ["stage=sft", "stage.global_batch=4", "stage.micro_batch=1", "data.train.limit=24"],
    "grpo": _GRPO,
    "grpo-beta": [*_GRPO, "stage.args.beta=0.1"],
    "grpo-twice": [*_GRPO, "stage.args.num_iterations=2"],
}
_ADAMW = "stage.optimizer.kind=trl"
_FULL = [_ADAMW, "stage.args.learning_rate=1e-3"]
_LORA = [_ADAMW, "stage.args.learning_rate=1e-2", "model.lora.enable=true", "model.lora.r=4"]
_AS_ON_A_GPU = ["hardware.precision=bf16", "hardware.gradient_checkpointing=true"]
PARTS = {
    "full": _FULL,
    "lora": _LORA,
    "full-bf16": [*_FULL, *_AS_ON_A_GPU],
    "lora-bf16": [*_LORA, *_AS_ON_A_GPU],
    "lora-on-adapter": [*_LORA, "model.path={adapter}"],
    "full-on-adapter": [*_FULL, "model.path={adapter}"],
    "muon": ["stage.optimizer.kind=muon_adamw", "stage.args.learning_rate=1e-3"],
}
_TWO = "hardware.processes_per_node=2"
WAYS = {
    "one": [],
    "ddp": [_TWO],
    "zero1": [_TWO, "deepspeed=zero1"],
    "zero2": [_TWO, "deepspeed=zero2"],
    "zero2_offload": [_TWO, "deepspeed=zero2_offload"],
    "zero3": [_TWO, "deepspeed=zero3"],
    "zero3_offload": [_TWO, "deepspeed=zero3_offload"],
    "fsdp": [_TWO, "fsdp=full_shard"],
    "shard_grad": [_TWO, "fsdp=shard_grad"],
}
OWN_FILE = {
    "zero1": "global_step2/*zero_pp_rank_1_mp_rank_00_optim_states.pt",
    "zero2": "global_step2/*zero_pp_rank_1_mp_rank_00_optim_states.pt",
    "zero3": "global_step2/*zero_pp_rank_1_mp_rank_00_model_states.pt",
    "fsdp": "pytorch_model_fsdp.bin",
}
"""What only this way leaves in a checkpoint: proof that it was taken up. In bf16 names begin otherwise."""

TABLE = list(
    product(
        ("sft", "grpo", "grpo-beta"),
        ("full", "lora"),
        ("one", "ddp", "zero2", "zero3", "fsdp"),
        ("SIGKILL", "SIGTERM"),
    )
)
BESIDE_THE_TABLE = [
    *[("grpo-beta", "lora-bf16", way, "SIGKILL") for way in ("ddp", "zero2", "zero3", "fsdp")],
    *[("grpo-beta", "full-bf16", way, "SIGKILL") for way in ("ddp", "zero2", "zero3", "fsdp")],
    *[("grpo-beta", "lora", way, "SIGKILL") for way in ("zero1", "shard_grad")],
    *[("grpo-beta", "lora-on-adapter", way, "SIGKILL") for way in ("one", "zero2", "fsdp")],
    ("grpo", "full-on-adapter", "ddp", "SIGKILL"),
    *[(stage, "muon", "one", "SIGTERM") for stage in ("sft", "grpo-beta")],
    *[("grpo-twice", part, "one", "SIGTERM") for part in ("full", "lora")],
]
OFFLOAD = [
    ("sft", "full", "zero2_offload", "SIGKILL"),
    ("grpo-beta", "lora", "zero3_offload", "SIGKILL"),
]
COMPILER = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++")) is None,
    reason="no C++ compiler for DeepSpeed's CPU Adam (apt-get install g++)",
)
KEPT = {"TORCH_EXTENSIONS_DIR": str(Path.home() / ".cache" / "torch_extensions")}
"""Where DeepSpeed's Adam is compiled once on a machine."""


def rows(run_dir):
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def curves(run_dir):
    """What was learnt from, by step: losses, gradients, rewards, and the distance to the reference."""
    names = ("loss", "grad_norm", "learning_rate", "reward/total/mean", "kl")
    return [{k: row.get(k) for k in names} for row in rows(run_dir) if "loss" in row]


def weights(run_dir):
    """The bytes of every weight file of the final model."""
    folder = run_dir / "model"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safetensors")}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """An adapter on the tiny base that changes every layer that it is on."""
    folder = tmp_path_factory.mktemp("adapter")
    config = ModelConfig(
        path="tiny_qwen2_5_vl", family=Family.qwen2_5_vl, lora=LoraConfig(enable=True, r=2)
    )
    model = load_model(config, locate("tiny_qwen2_5_vl"), torch.float32, 0)
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words_of(adapter):
    """The words of a cell's runs."""

    def words(stage, part, way):
        listed = [*STAGES[stage], *COMMON, *PARTS[part], *WAYS[way]]
        return [word.format(adapter=adapter) for word in listed]

    return words


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, words_of):
    """The folder of a run that nothing stopped; each is made once."""
    folder = tmp_path_factory.mktemp("matrix")

    def run(stage, part, way):
        run_dir = folder / f"{stage}-{part}-{way}"
        if not run_dir.is_dir():
            words = [*words_of(stage, part, way), "stage.keep_checkpoints=3"]
            sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=folder, **KEPT)
            assert max(row.get("grad_norm", 0) for row in rows(run_dir)) > 0, "nothing is learnt"
            if stage == "grpo-beta":
                assert curves(run_dir)[-1]["kl"] > 0, "the reference is what is trained"
            if way in OWN_FILE:
                assert [*(run_dir / "checkpoint-2").glob(OWN_FILE[way])]
        return run_dir

    return run


def stop(words, folder, run_dir, name):
    """Start a run; once it has logged step 3, kill all its processes, or ask the first to stop."""
    with (folder / f"{run_dir.name}.stderr").open("w+") as stderr:
        child = psutil.Popen(
            command(*words), cwd=folder, env=environment(folder, **KEPT), stderr=stderr
        )
        deadline = time.monotonic() + 600
        while max((row["step"] for row in rows(run_dir)), default=0) < 3:
            if child.poll() is not None:
                stderr.seek(0)
                pytest.fail(stderr.read()[-3000:])
            assert time.monotonic() < deadline, "the run does not get to step 3"
            time.sleep(0.02)
        if name == "SIGKILL":
            everyone = [child, *child.children(recursive=True)]
            for process in everyone:
                process.kill()
            psutil.wait_procs(everyone, timeout=30)
        else:
            child.send_signal(signal.Signals[name])
            assert child.wait(timeout=300) == 128 + signal.Signals[name]


def resumed(undisturbed, words_of, stage, part, way, name):
    """(the undisturbed run's folder, that of a run that was stopped and resumed)."""
    whole = undisturbed(stage, part, way)
    run_dir = whole.with_name(f"{whole.name}-{name}")
    words = [*words_of(stage, part, way), f"paths.run_dir={run_dir}"]
    stop(words, whole.parent, run_dir, name)
    sgg_ok("resume", str(run_dir), cwd=whole.parent, **KEPT)
    assert "going on from checkpoint-" in (run_dir / "run.log").read_text()
    return whole, run_dir


@pytest.mark.parametrize(("stage", "part", "way", "name"), [*TABLE, *BESIDE_THE_TABLE])
def test_stopped_and_resumed_ends_at_the_same_weights(
    undisturbed, words_of, stage, part, way, name
):
    whole, run_dir = resumed(undisturbed, words_of, stage, part, way, name)
    assert curves(run_dir) == curves(whole)
    assert weights(run_dir) == weights(whole)


@COMPILER
@pytest.mark.parametrize(("stage", "part", "way", "name"), OFFLOAD)
def test_offload_resumes_to_rounding(undisturbed, words_of, stage, part, way, name):
    """DeepSpeed's Adam on the CPU multiplies beta by itself at each step, but after a start takes a power."""
    whole, run_dir = resumed(undisturbed, words_of, stage, part, way, name)
    for row, same in zip(curves(run_dir), curves(whole), strict=True):
        known = {name: value for name, value in same.items() if value is not None}
        assert {name: row[name] for name in known} == pytest.approx(known, rel=1e-4)
    for file in (whole / "model").rglob("*.safetensors"):
        ours = load_file(run_dir / file.relative_to(whole))
        for name, weight in load_file(file).items():
            torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-4)


@pytest.mark.parametrize("way", ["one", "zero2", "zero3", "fsdp"])
@pytest.mark.parametrize("part", ["full", "lora"])
def test_killed_after_the_last_step_only_the_model_is_written(undisturbed, part, way):
    whole = undisturbed("grpo-beta", part, way)
    run_dir = shutil.copytree(whole, whole.with_name(f"{whole.name}-late"))
    shutil.rmtree(run_dir / "model")
    sgg_ok("resume", str(run_dir), cwd=whole.parent, **KEPT)
    assert curves(run_dir) == curves(whole)
    assert weights(run_dir) == weights(whole)
