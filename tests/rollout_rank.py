"""One GRPO rank that tells what its rollouts do: `python tests/rollout_rank.py RUN_DIR/config.yaml WORD …`.

Words: `greedy` compares vLLM's greedy completion with transformers' after each push and prints both as a JSON
line; `expands_twice` and `keeps_image_features` leave that cure out; `blind` leaves the probe out;
`swaps_images` gives vLLM the images of each group in the place of the next group's;
`updates=N` has the first push of an adapter followed by N more, each after an update of the adapter, and
prints as a JSON line which weights of the base have changed and how many of the greedy completions differ.
"""

import json
import sys
from pathlib import Path

import torch

from sgg.compat import trl as cures
from sgg.stages import run_stage

LENGTH = 12
frozen, *words = sys.argv[1:]
for cure in ("expands_twice", "keeps_image_features"):
    if cure in words:
        setattr(cures, cure, lambda: False)

from sgg.rollout.generation import Rollouts  # noqa: E402  after the cures are out
from sgg.rollout.weight_probe import Probe  # noqa: E402

sync_weights = Rollouts.sync_weights


def told(self):
    """Push, then say greedy completions of both sides."""
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


def updated(self, count):
    """Push after each of `count` updates of the adapter; print the state of the base and completions."""
    base = {n: p for n, p in self.model.named_parameters() if "lora_" not in n}
    adapter = [p for n, p in self.model.named_parameters() if "lora_" in n]
    before = {name: param.detach().clone() for name, param in base.items()}
    torch.manual_seed(0)
    for _ in range(count):
        for param in adapter:
            param.data.add_(torch.randn_like(param) * 0.02)
        sync_weights(self)
    changed = [name for name, param in base.items() if not torch.equal(param, before[name])]
    completions = {tuple(tokens) for tokens in asked}
    said = {
        "base": len(base),
        "changed": changed,
        "completions": len(completions),
        "apart": sum(apart),
    }
    print(json.dumps(said), flush=True)


asked, apart = [], []
disagreement = Probe.disagreement


def compared(self, model, accelerator, result):
    """Is vLLM's greedy completion the trainer's? Each of its tokens must be the trainer's choice."""
    chosen = self._logits(model, accelerator, result.tokens).argmax(-1).tolist()
    asked.append(result.tokens)
    apart.append(chosen != result.tokens)
    return disagreement(self, model, accelerator, result)


left = [int(word.removeprefix("updates=")) for word in words if word.startswith("updates=")]


def pushed_often(self):
    """The first push alone is followed by others."""
    sync_weights(self)
    while left:
        updated(self, left.pop())


if left:
    Probe.LENGTH = 6
    Probe.disagreement = compared
    Rollouts.sync_weights = pushed_often
if "greedy" in words:
    Rollouts.sync_weights = told
if "swaps_images" in words:
    resized = Rollouts.resized

    def swapped(self, images):
        """The probe's single image stays."""
        group = len(images) // len({id(row[0]) for row in images})
        return resized(self, images[group:] + images[:group])

    Rollouts.resized = swapped
if "blind" in words:
    Rollouts._disagreement = lambda self: None

run_stage(Path(frozen))
