"""One GRPO rank that tells what its rollouts do: `python tests/rollout_rank.py RUN_DIR/config.yaml WORD …`.

Words: `greedy` compares vLLM's greedy answer with transformers' after each push and prints both as a JSON
line; `expands_twice` and `keeps_image_features` leave that cure out; `blind` leaves the probe out.
"""

import json
import sys
from pathlib import Path

import torch

from sgg.main import run_frozen
from sgg.rollout import cures

LENGTH = 12
frozen, *words = sys.argv[1:]
for cure in ("expands_twice", "keeps_image_features"):
    if cure in words:
        setattr(cures, cure, lambda: False)

from sgg.rollout.generation import Rollouts  # noqa: E402  after the cures are out
from sgg.rollout.probe import Probe  # noqa: E402

sync_weights = Rollouts.sync_weights


def told(self):
    """Push, then say greedy answers of both sides."""
    sync_weights(self)
    probe = Probe(self._settings, self.processing_class)
    print(json.dumps({"vllm": vllms(self, probe), "trainer": trainers(self, probe)}), flush=True)


def vllms(rollouts, probe):
    probe.LENGTH = LENGTH
    return rollouts.ask(probe)[0].tokens


def trainers(rollouts, probe):
    rollouts.model.eval()
    with torch.no_grad():
        done = rollouts.model.generate(
            **probe._inputs,
            max_new_tokens=LENGTH,
            min_new_tokens=LENGTH,
            do_sample=False,
        )
    rollouts.model.train()
    return done[0, -LENGTH:].tolist()


if "greedy" in words:
    Rollouts.sync_weights = told
if "blind" in words:
    Rollouts._disagreement = lambda self: None

run_frozen(Path(frozen))
