"""Groups without advantage are left out of GRPO's update, which learns the same without them."""

import os
from pathlib import Path

import pytest
import torch
from commands import sgg_ok
from safetensors.torch import load_file

from sgg.runs.progress import read_curves

WORDS = [
    *("stage=grpo", "stage.prompts_per_step=8", "stage.args.num_generations=2"),
    *("stage.micro_batch=2", "stage.args.max_completion_length=3", "stage.args.max_steps=3"),
    *("stage.args.learning_rate=1e-4", "data.train.limit=24", "hardware.threads=1"),
    *("reward=none", "++reward.terms.vowels.import_path=own_reward:vowels"),
    "++reward.terms.vowels.weight=1",
]

PATH = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param([], id="shared"),
        pytest.param(["stage.fast_path=off"], marks=pytest.mark.thorough, id="plain"),
    ],
)
def test_weights_are_those_of_all_groups(tmp_path, more):
    found = {}
    for groups in ("keep", "drop"):
        run_dir = tmp_path / groups
        words = [*WORDS, *more, f"stage.groups={groups}", f"paths.run_dir={run_dir}"]
        sgg_ok(*words, cwd=tmp_path, PYTHONPATH=PATH)
        rows = [row for row in read_curves(run_dir) if "loss" in row]
        found[groups] = rows, load_file(run_dir / "model" / "model.safetensors")
    (rows, kept), (dropped_rows, dropped) = found["keep"], found["drop"]
    silent = [row["reward/no_variance"] for row in rows]
    assert any(0 < share < 1 for share in silent)
    assert [row["reward/no_variance"] for row in dropped_rows] == silent
    for one, other in zip(dropped_rows, rows, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-6)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)
        assert ("entropy" in one) == (other["reward/no_variance"] < 1)
        if 0 < other["reward/no_variance"] < 1:  # pairs that differ have more; nothing counts as 0
            assert one["entropy"] > other["entropy"]
    for name, weight in kept.items():
        torch.testing.assert_close(dropped[name], weight, atol=1e-6, rtol=1e-4)
    if not more:
        saved = [[row["speed/prefix_saved"] for row in each] for each in (dropped_rows, rows)]
        assert sum(saved[0]) > sum(saved[1])
