"""TRL's reward interface: one function for each term, over one scorer of batches.

TRL calls one function per term, so that each is logged under its own name; the batch is scored once,
by whichever function comes first, and the others read it. Completions to one image stand together in a
batch: they are matched together, equal ones are scored once, and terms that see groups see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sgg.reward.score import Reward, RewardSpec
from sgg.reward.workers import BatchScorer, groups_of
from sgg.text.codec import FAILURES, ErrorKind, GraphSpec

RewardFunction = Callable[..., list[float]]


def reward_functions(mix: RewardSpec, spec: GraphSpec, workers: int = 0) -> list[RewardFunction]:
    """One function per term, in TRL's form and the mix's order. Weights are the trainer's to apply."""
    scorer = BatchScorer(mix, spec, workers)
    newest: tuple[Any, list[Reward]] = (None, [])

    def rewards(completions: list[Any], columns: dict[str, Any]) -> list[Reward]:
        """Of the batch; `columns` holds each row's gold, width and height, and what TRL adds."""
        nonlocal newest
        if completions is not newest[0]:  # TRL hands one list to all functions
            texts = [text_of(completion) for completion in completions]
            groups = groups_of(texts, columns["gold"], columns["width"], columns["height"])
            newest = completions, scorer.rewards(groups)
            if "log_metric" in columns:
                _log(newest[1], mix, columns["log_metric"], columns.get("trainer_state"))
        return newest[1]

    def function(name: str) -> RewardFunction:
        def term(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
            return [reward.breakdown[name] for reward in rewards(completions, columns)]

        term.__name__ = name
        return term

    return [function(name) for name in mix.weights]


def _log(
    rewards: Sequence[Reward], mix: RewardSpec, log_metric: Callable[[str, float], None], state: Any
) -> None:
    """Log kinds of completions and the weights that warm up; `state` is the trainer's, if one trains."""
    count = len(rewards)
    failures = Counter(r.parsed.failure for r in rewards)
    faults = Counter(k for r in rewards for k in {p.kind for p in r.parsed.problems})
    for kind in ErrorKind:  # every one each time: TRL averages over processes by name
        counts, group = (failures, "failed") if kind in FAILURES else (faults, "problem")
        log_metric(f"completion/{group}/{kind.value}", counts[kind] / count)
    log_metric("completion/failed", 1 - failures[None] / count)
    log_metric("completion/objects", sum(len(r.parsed.graph.nodes) for r in rewards) / count)
    log_metric("completion/relations", sum(len(r.parsed.graph.edges) for r in rewards) / count)
    if mix.warmup_steps and state is not None:
        weights = mix.weights_at(state.global_step)
        for name in mix.warmup_steps:
            log_metric(f"reward/{name}/weight", weights[name])


def text_of(completion: Any) -> str:
    """TRL hands conversational completions as a list with one assistant message."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])
