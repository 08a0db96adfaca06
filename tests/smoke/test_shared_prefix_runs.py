"""Trainings with and without shared prompts, by the command line: the same completions and weights.

To rounding, which is why the optimiser is plain gradient descent: Adam and Muon divide a gradient by its own
size, and so make a whole step of noise in a gradient that is all but zero. LoRA's dropout is off, since a
shared prompt has one mask for all its completions.
"""

import json

import pytest
import torch
from commands import sgg_ok
from safetensors.torch import load_file

from sgg.models.weights import locate

pytestmark = pytest.mark.slow

COMMON = [
    *("hardware.threads=1", "stage.args.logging_steps=1", "stage.args.warmup_steps=0"),
    *("stage.optimizer.kind=trl", "stage.args.optim=sgd", "stage.args.save_steps=50"),
]
STAGES = {
    "sft": [
        *("stage=sft", "stage.global_batch=8", "stage.micro_batch=4", "data.train.limit=24"),
        *("stage.args.max_steps=10", "stage.args.learning_rate=1e-2"),
    ],
    "grpo": [
        *("stage=grpo", "stage.prompts_per_step=2", "stage.micro_batch=4", "data.train.limit=12"),
        *("stage.args.num_generations=4", "stage.args.max_completion_length=24"),
        *("stage.args.max_steps=3", "stage.args.learning_rate=1e-2"),
        # the untrained model earns nothing by its graphs; by its lengths it learns at once
        *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
        "reward.terms.length.options.limit_chars=200",
    ],
}
PARTS = {
    "full": [],
    "long": ["stage.args.max_steps=20"],
    "lora": [
        "hardware.gradient_checkpointing=true",
        *("model.lora.enable=true", "model.lora.r=4", "model.lora.dropout=0"),
    ],
    # passes of the reference model, and of the policy before its second update
    "beta": ["stage.args.beta=0.1", "stage.args.num_iterations=2"],
    # the tower does not learn: generation, both policies and the reference share its features
    "frozen": [
        *("stage.args.beta=0.1", "stage.args.num_iterations=2"),
        *("model.freeze_vision=true", "model.freeze_merger=true"),
    ],
    "cut": ["stage.args.mask_truncated_completions=true"],
    # groups of 3 in micro batches of 2 on each rank: a group lies in several, and on both ranks
    "torn": ["stage.args.num_generations=3", "stage.prompts_per_step=4", "stage.micro_batch=2"],
}
_TWO = "hardware.processes_per_node=2"
WAYS = {
    "one": [],
    "ddp": [_TWO],
    "zero3": [_TWO, "deepspeed=zero3"],
    "fsdp": [_TWO, "fsdp=full_shard"],
}


def rows(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "loss" in row]


def weights(run_dir):
    (file,) = (run_dir / "model").glob("*.safetensors")
    return load_file(file)


def check_equal_curves(plain, shared):
    """What was drawn is equal; what follows from it, to rounding.

    TRL logs entropy and KL as means over micro batches, which are other ones where groups stay together.
    """
    for name in ("reward/total/mean", "completion/length/mean"):
        assert [row.get(name) for row in plain] == [row.get(name) for row in shared]
    for name in ("loss", "grad_norm"):
        expected = [row[name] for row in plain]
        assert [row[name] for row in shared] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def check_equal_weights(plain, shared, start, limit):
    """Each within `limit` of its size; all together within 1/1000 of the way that they went."""
    assert plain.keys() == shared.keys()
    for name, weight in plain.items():
        assert (shared[name] - weight).norm() <= limit * weight.norm(), name
    way = torch.cat([(plain[n] - start.get(n, 0 * plain[n])).flatten() for n in plain]).norm()
    apart = torch.cat([(plain[name] - shared[name]).flatten() for name in plain]).norm()
    assert 0 < apart <= 1e-3 * way


@pytest.mark.parametrize(
    ("stage", "part", "way"),
    [
        ("grpo", "torn", "ddp"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in [
                ("sft", "full", "ddp"),
                ("sft", "full", "zero3"),
                ("grpo", "lora", "zero3"),
                ("grpo", "lora", "one"),
                ("grpo", "frozen", "ddp"),
                ("grpo", "beta", "one"),
                ("grpo", "long", "one"),
                ("grpo", "cut", "one"),
                ("grpo", "full", "fsdp"),
            ]
        ),
    ],
)
def test_a_training_is_the_same_with_shared_prompts(stage, part, way, tmp_path):
    words = [*STAGES[stage], *COMMON, *PARTS[part], *WAYS[way]]
    plain, shared = tmp_path / "off", tmp_path / "require"
    for run_dir in (plain, shared):
        chosen = [f"stage.fast_path={run_dir.name}"]
        if stage == "grpo" and run_dir == plain:
            chosen.append("stage.groups=keep")
        sgg_ok(*words, *chosen, f"paths.run_dir={run_dir}", cwd=tmp_path)
    check_equal_curves(rows(plain), rows(shared))
    assert not any("speed/prefix_saved" in row for row in rows(plain))
    assert all(row["speed/prefix_saved"] > 0 for row in rows(shared))
    start = load_file(locate("tiny_qwen2_5_vl") / "model.safetensors")
    check_equal_weights(
        weights(plain), weights(shared), start, limit=1e-5 if stage == "sft" else 1e-4
    )
