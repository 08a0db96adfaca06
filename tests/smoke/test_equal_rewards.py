"""What a real trainer makes of given rewards: TRL's formulas, and exactly 0 where a group has one reward."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import environment

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]
PROMPTS, GROUP, TERMS = 12, 8, 2
WORDS = [
    "stage=grpo",
    f"stage.prompts_per_step={PROMPTS}",
    f"stage.args.num_generations={GROUP}",
    f"data.train.limit={PROMPTS}",
    "stage.micro_batch=16",
    "stage.args.max_completion_length=3",
    "stage.args.max_steps=1",
    "reward=none",
    "++reward.terms.one.import_path=own_reward:vowels",
    "++reward.terms.one.weight=0.3",
    "++reward.terms.other.import_path=own_reward:vowels",
    "++reward.terms.other.weight=1.7",
]
WEIGHTS = np.float32([0.3, 1.7]).astype(float)
MODES = [
    *((scale, "sum_then_normalize") for scale in ("group", "batch", "none")),
    ("group", "normalize_then_sum"),
]


def table(seed):
    """Rewards (group, completion, term) in fp32; which groups are equal in all terms, and in their totals."""
    rng = np.random.default_rng(seed)
    rewards = np.float32(rng.uniform(0, 5, (PROMPTS, GROUP, TERMS)))
    rewards[:4] = [
        [[k / n * 5, rng.random()]] * GROUP for k, n in ((1, 3), (2, 7), (5, 9), (11, 13))
    ]
    rewards[4:7] = rng.uniform(0, 5, (3, 1, TERMS))
    rewards[7] = [[np.nan, np.nan]] * 3 + [[0.7, 0.1]] * 5
    rewards[8, :, 0] = np.float32(5 / 3)  # one term is undecided, the other is not
    rewards[9] = rewards[9, 0]
    rewards[9, 5, 0] = np.nextafter(
        rewards[9, 5, 0], np.float32(9)
    )  # a real difference, if a small one
    return rewards


def expected(rewards, scale, aggregation):
    """TRL's formulas in exact enough numbers, groups of one reward set to 0."""
    rewards = rewards.astype(float)
    silent = np.isnan(rewards).all(2)
    if aggregation == "normalize_then_sum":
        mean = np.nanmean(rewards, 1, keepdims=True)
        spread = np.nanstd(rewards, 1, ddof=1, keepdims=True)
        total = np.nansum((rewards - mean) / (spread + 1e-4) * WEIGHTS, 2)
        total[silent] = np.nan
        found = (total - np.nanmean(total)) / (np.nanstd(total, ddof=1) + 1e-4)
    else:
        total = np.nansum(rewards * WEIGHTS, 2)
        total[silent] = np.nan
        found = total - np.nanmean(total, 1, keepdims=True)
        if scale == "group":
            found /= np.nanstd(total, 1, ddof=1, keepdims=True) + 1e-4
        if scale == "batch":
            found /= np.nanstd(total, ddof=1) + 1e-4
    found[:8] = 0
    return np.nan_to_num(found)


def outcomes(folder, cases, *words):
    """What each rank says of each case."""
    config = compose_config([*WORDS, *words, f"paths.run_dir={folder / 'run'}"])
    (folder / "run").mkdir()
    write_frozen(config, folder / "run" / FROZEN_NAME)
    (folder / "cases.json").write_text(json.dumps(cases))
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    script = [str(TESTS / "advantage_rank.py"), str(folder / "run" / FROZEN_NAME)]
    ranks = config.hardware.processes_per_node
    started = [
        subprocess.Popen(
            [sys.executable, *script, str(folder / "cases.json")],
            env=environment(folder, PYTHONPATH=path, **place(rank, ranks)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    said = [process.communicate(timeout=400) for process in started]
    assert not any(process.returncode for process in started), said[0][1][-4000:]
    lines = [line for out, _ in said for line in out.splitlines() if line.startswith('{"rank"')]
    return [json.loads(line) for line in lines]


def place(rank, ranks):
    if ranks == 1:
        return {}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29731"}
    return where | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}


def plain(rewards):
    """Completions × terms, as JSON takes it."""
    return [[None if np.isnan(x) else float(x) for x in row] for row in rewards.reshape(-1, TERMS)]


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_equal_rewards_move_nothing_and_others_as_before(tmp_path, ranks):
    rewards = table(0)
    alike = np.broadcast_to(np.float32([2 / 3 * 5, 0.3]), rewards.shape)
    cases = [
        {"scale_rewards": s, "multi_objective_aggregation": a, "rewards": plain(r)}
        for s, a in MODES
        for r in (rewards, alike)
    ]
    said = outcomes(tmp_path, cases, f"hardware.processes_per_node={ranks}")
    assert len(said) == ranks * len(cases)
    for i, (scale, aggregation) in enumerate(MODES):
        wanted = expected(rewards, scale, aggregation).reshape(-1)
        for rank in range(ranks):
            mixed, same = said[rank * len(cases) + 2 * i :][:2]
            mine = np.split(wanted, ranks)[mixed["rank"]]
            assert mixed["dtype"] == "torch.float32"
            assert ((np.array(mixed["advantages"]) == 0) == (mine == 0)).all()
            assert mixed["advantages"] == pytest.approx(mine, rel=1e-4)
            assert mixed["logged"] == pytest.approx(wanted, rel=1e-4)
            assert ((np.array(mixed["logged"]) == 0) == (wanted == 0)).all()
            assert mixed["metrics"]["frac_reward_zero_std"] == pytest.approx(8 / PROMPTS)
            assert not any(same["advantages"])
            assert not any(same["logged"])
            assert same["metrics"]["frac_reward_zero_std"] == 1
            assert same["metrics"]["reward_std"] == 0
            assert same["terms"] == [0, 0]
