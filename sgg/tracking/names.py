"""Names of the numbers that training and evaluation log, with units: the same everywhere.

`metrics.jsonl`, trackers and reports have these names. TRL and transformers have others for some;
`renamed` puts ours in their place. `python -m sgg.tracking.names` prints the table of docs/tracking.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sgg.config.stage import StageName

LOSS = "loss"
TOTAL_REWARD = "reward/total/mean"
FAILED = "completion/failed"
EVALUATED_STEP = "eval/step"
EVALUATED = ("eval/R", "eval/mR", "eval/failure_rate")
"""What is shown first of an evaluation during training."""


@dataclass(frozen=True)
class Name:
    """One number, or one for each TERM, KIND or METRIC."""

    name: str
    unit: str
    meaning: str
    theirs: str | None = None
    """What TRL or transformers call it, where that is something else."""


_SHARE = "share, 0 to 1"
_ENDED = "of completions that ended by themselves"
NAMES = (
    Name("loss", "", "what the optimiser lowers; of SFT in nats per token"),
    Name("loss_mean", "", "mean over this start, at its end", "train_loss"),
    Name("policy_loss", "", "GRPO: the loss without its entropy bonus"),
    Name("aux_loss", "", "mixture-of-experts models: the router's loss"),
    Name("grad_norm", "", "norm of the gradient, before it is clipped"),
    Name("learning_rate", "", "of the optimiser's first group"),
    Name("epoch", "epochs", "how far in the data"),
    Name("tokens", "tokens", "seen so far, with prompts", "num_tokens"),
    Name("entropy", "nats per token", "of the model's distribution, mean over the completion"),
    Name("entropy_coef", "", "GRPO: weight of the entropy bonus"),
    Name("token_accuracy", _SHARE, "SFT: most probable token is the target's", "mean_token_accuracy"),
    Name("kl", "nats per token", "GRPO with beta > 0: distance to the reference"),
    Name("reward/total/mean", "reward", "weighted sum of the terms, mean of all completions", "reward"),
    Name("reward/total/std", "reward", "its standard deviation over all completions", "reward_std"),
    Name("reward/TERM/mean", "reward", "the term, unweighted, mean of all completions", "rewards/TERM/mean"),
    Name("reward/TERM/std", "reward", "its standard deviation", "rewards/TERM/std"),
    Name("reward/TERM/weight", "", "of a term that warms up: its weight at this step"),
    Name("reward/no_variance", _SHARE, "groups of equal rewards: they teach nothing", "frac_reward_zero_std"),
    Name("completion/length/mean", "tokens", "of all completions", "completions/mean_length"),
    Name("completion/length/min", "tokens", "", "completions/min_length"),
    Name("completion/length/max", "tokens", "", "completions/max_length"),
    Name("completion/length_ended/mean", "tokens", _ENDED, "completions/mean_terminated_length"),
    Name("completion/length_ended/min", "tokens", "", "completions/min_terminated_length"),
    Name("completion/length_ended/max", "tokens", "", "completions/max_terminated_length"),
    Name("completion/truncated", _SHARE, "cut at the token limit", "completions/clipped_ratio"),
    Name("completion/failed", _SHARE, "of no use as a graph"),
    Name("completion/failed/KIND", _SHARE, "the same by kind: no_json, truncated, malformed, empty"),
    Name("completion/problem/KIND", _SHARE, "with such a problem ([rewards.md](rewards.md))"),
    Name("completion/objects", "objects", "in a completion, mean"),
    Name("completion/relations", "relations", "in a completion, mean"),
    Name("clip_ratio/KIND", _SHARE, "GRPO: tokens whose probability ratio was clipped"),
    Name("cispo_clip_ratio", _SHARE, "the same with `loss_type=cispo`"),
    Name("sampling/sampling_logp_difference/KIND", "nats", "between vLLM and trainer"),
    Name("sampling/importance_sampling_ratio/KIND", "ratio", "of the two probabilities"),
    Name("grammar/masked_mass", _SHARE, "probability that the grammar takes away"),
    Name("speed/step_s", "s", "one optimiser step"),
    Name("speed/generation_s", "s", "GRPO: completions, weights sent to vLLM included"),
    Name("speed/reward_s", "s", "GRPO: parsing, matching and scoring"),
    Name("speed/preparation_s", "s", "GRPO: the rest before the first gradient"),
    Name("speed/optimizer_s", "s", "clipping and update; with DeepSpeed in `update_s`"),
    Name("speed/update_s", "s", "the rest of the step: forward and backward"),
    Name("speed/tokens_per_s", "tokens/s", "of all processes, with prompts"),
    Name("speed/prefix_saved", _SHARE, "tokens, padding included, that were not computed: shared prompts"),
    Name("speed/images_saved", _SHARE, "images that were not computed: copies"),
    Name("speed/memory_gb", "10⁹ bytes", "peak of the main process: on its GPU, or without one in RAM"),
    Name("speed/training_s", "s", "this start, at its end", "train_runtime"),
    Name("speed/evaluation_s", "s", "one evaluation during training, scoring included"),
    Name("speed/evaluation_share", _SHARE, "of this start's time that its evaluations took, at its end"),
    Name("speed/samples_per_s", "samples/s", "the same", "train_samples_per_second"),
    Name("speed/steps_per_s", "steps/s", "the same", "train_steps_per_second"),
    Name("speed/operations", "FLOP", "transformers' estimate for the training", "total_flos"),
    Name("eval/step", "steps", "training steps of the model that is evaluated: the axis of `eval/`"),
    Name("eval/METRIC", "", "each of `metrics.json` ([metrics.md](metrics.md))"),
)  # fmt: skip

_ONLY_OF = {
    StageName.sft: ("token_accuracy",),
    StageName.grpo: (
        *("reward/", "completion/", "policy_loss", "entropy_coef", "kl", "clip_ratio/"),
        *("cispo_clip_ratio", "sampling/", "grammar/"),
        *("speed/generation_s", "speed/reward_s", "speed/preparation_s"),
    ),
}
"""How the numbers begin that one stage alone logs."""
_LEFT_OUT = frozenset({"step_time"})
"""Theirs that say what one of ours says better."""


def renamed(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Logged numbers by our names; what the table does not have keeps its own."""
    return {_ours(name): value for name, value in numbers.items() if name not in _LEFT_OUT}


def known(name: str) -> bool:
    """Whether the table has the name."""
    return entry_of(name) is not None


def is_logged_by(stage: StageName, name: str) -> bool:
    """Whether a training logs a number of the table; some it logs with certain settings only."""
    return not any(name.startswith(own) for of, own in _ONLY_OF.items() if of is not stage)


@cache
def entry_of(name: str) -> Name | None:
    """The table's entry of a number; None for one that the table does not have."""
    return next((entry for entry in NAMES if _pattern(entry.name).fullmatch(name)), None)


@cache
def _ours(name: str) -> str:
    for entry in NAMES:
        if entry.theirs and (found := _pattern(entry.theirs).fullmatch(name)):
            return entry.name.replace("TERM", found["TERM"]) if found.groupdict() else entry.name
    return name


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(
        re.sub("TERM|KIND|METRIC", lambda part: f"(?P<{part[0]}>.+)", re.escape(name))
    )


def table() -> str:
    """The names as the Markdown table of docs/tracking.md."""
    rows = ["| name | unit | | TRL's name |", "|---|---|---|---|"]
    for entry in NAMES:
        theirs = f"`{entry.theirs}`" if entry.theirs else ""
        rows.append(f"| `{entry.name}` | {entry.unit} | {entry.meaning} | {theirs} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
