"""One GRPO rank that tells what its rollouts do: `python tests/rollout_rank.py RUN_DIR/config.yaml WORD …`.

Words: `greedy` compares vLLM's greedy answer with transformers' after each push; `expands_twice` and
`keeps_image_features` leave that cure out; `blind` leaves the probe out. Prints a JSON line for each push.
"""

import json
import sys
from pathlib import Path

import torch

from sgg.asking import resized
from sgg.main import run_frozen
from sgg.rollout import client, generation
from sgg.rollout.probe import Probe

LENGTH = 12
frozen, *words = sys.argv[1:]


class Told(generation.Rollouts):
    """Says greedy answers of both sides after each push."""

    def sync_weights(self):
        super().sync_weights()
        if "greedy" in words:
            probe = Probe(self._settings, self.processing_class)
            print(
                json.dumps({"vllm": self._greedy(probe), "trainer": self._own(probe)}), flush=True
            )

    def _greedy(self, probe):
        ends = {k: v for k, v in self._settings.sampling.items() if k == "logit_bias"}
        picture = resized(probe.picture, self._settings.processor)
        if self.mode == "server":
            (one,) = self.vllm_client.clients
            features = [self._place_features(one.image_features([[picture]])[0], probe.ids)]
            asked = {"temperature": 0.0, "max_tokens": LENGTH}
            kwargs = {"ignore_eos": True, **ends}
            answer = one.generate([probe.ids], features=features, generation_kwargs=kwargs, **asked)
            return answer["completion_ids"][0]
        from vllm import SamplingParams

        self.llm.seeds = []
        params = SamplingParams(temperature=0.0, max_tokens=LENGTH, ignore_eos=True, **ends)
        ids = generation.collapsed(probe.ids, self.processing_class.image_token_id)
        prompt = {"prompt_token_ids": ids, "multi_modal_data": {"image": picture}}
        return list(self.llm.generate([prompt], params, use_tqdm=False)[0].outputs[0].token_ids)

    def _own(self, probe):
        self.model.eval()
        with torch.no_grad():
            done = self.model.generate(
                **probe._inputs,
                max_new_tokens=LENGTH,
                min_new_tokens=LENGTH,
                do_sample=False,
                suppress_tokens=list(self._settings.sampling["logit_bias"]),
            )
        self.model.train()
        return done[0, -LENGTH:].tolist()


generation.Rollouts = Told
for cure in ("expands_twice", "keeps_image_features"):
    if cure in words:
        for module in (generation, client):
            if hasattr(module, cure):
                setattr(module, cure, lambda: False)
if "blind" in words:
    generation.Rollouts._disagreement = lambda self: None

run_frozen(Path(frozen))
