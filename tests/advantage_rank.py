"""One GRPO rank with given rewards: `python tests/advantage_rank.py RUN_DIR/config.yaml CASES`.

CASES is a JSON file of objects {"scale_rewards", "multi_objective_aggregation", "rewards"}, the latter by
completion and term, null where a term says nothing. For each, the step's completions are drawn, scored and
given advantages by the trainer as it is; what it hands to the loss and what it logs is printed as a JSON
line.
"""

import json
import math
import sys
from pathlib import Path

import torch

from sgg.stages import run_stage
from sgg.train.grpo_trainer import GRPOTrainer, Trainer

frozen, cases = sys.argv[1:]
CASES = json.loads(Path(cases).read_text())
calculate, generate = GRPOTrainer._calculate_rewards, Trainer._generate_and_score_completions
given = []


def calculated(self, *args):
    """What TRL gathers, with the case's values in it."""
    rewards = calculate(self, *args)
    values = [[math.nan if x is None else x for x in row] for row in given[-1]]
    return torch.tensor(values, dtype=rewards.dtype, device=rewards.device).reshape(rewards.shape)


def generated(self, inputs):
    """Every case on the same prompts."""
    for case in CASES:
        self.scale_rewards = case["scale_rewards"]
        self.multi_objective_aggregation = case["multi_objective_aggregation"]
        given.append(case["rewards"])
        scored = generate(self, inputs)
        names = ("reward", "reward_std", "frac_reward_zero_std")
        said = {
            "rank": self.accelerator.process_index,
            "dtype": str(scored["advantages"].dtype),
            "advantages": scored["advantages"].tolist(),
            "logged": list(self._logs["advantages"])[-len(case["rewards"]) :],
            "metrics": {name: self._metrics["train"][name][-1] for name in names},
            "terms": [
                self._metrics["train"][f"rewards/{n}/std"][-1] for n in self.reward_func_names
            ],
        }
        print(json.dumps(said), flush=True)
    return scored


GRPOTrainer._calculate_rewards = calculated
Trainer._generate_and_score_completions = generated
run_stage(Path(frozen))
