"""TRL's reward interface: the only place with `**kwargs`.

TRL calls one function per term, so that each is logged under its own name; the batch is scored once,
by whichever function comes first, and the others read it. Answers to one image stand together in a
batch: they are matched together, equal ones are scored once, and terms that see groups see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sgg.reward.score import Reward, RewardSpec
from sgg.reward.workers import Group, GroupScorer, groups_of
from sgg.text.codec import FAILURES, ErrorKind, GraphSpec

RewardFunction = Callable[..., list[float]]


class BatchScorer:
    """Scores a batch of completions and remembers it until the next one comes."""

    def __init__(self, mix: RewardSpec, spec: GraphSpec, workers: int = 0) -> None:
        self.mix = mix
        self._scorer = GroupScorer(mix, spec, workers)
        self._completions: Any = None
        self._rewards: list[Reward] = []

    def rewards(self, completions: list[Any], columns: dict[str, Any]) -> list[Reward]:
        """One reward per completion; `columns` holds TRL's per-row gold, width and height."""
        if completions is not self._completions:
            texts = [_text(completion) for completion in completions]
            groups: list[Group] = groups_of(
                texts, columns["gold"], columns["width"], columns["height"]
            )
            self._rewards = self._scorer.rewards(groups)
            self._completions = completions
            self._log(columns.get("log_metric"), columns.get("trainer_state"))
        return self._rewards

    def _log(self, log_metric: Callable[[str, float], None] | None, state: Any) -> None:
        if log_metric is None:
            return
        count = len(self._rewards)
        failures = Counter(r.parsed.failure for r in self._rewards)
        faults = Counter(k for r in self._rewards for k in {p.kind for p in r.parsed.problems})
        for kind in ErrorKind:  # every one each time: TRL averages over processes by name
            counts = failures if kind in FAILURES else faults
            log_metric(f"answers/{kind.value}", counts[kind] / count)
        log_metric("answers/failed", 1 - failures[None] / count)
        log_metric("answers/objects", sum(len(r.parsed.graph.nodes) for r in self._rewards) / count)
        log_metric(
            "answers/relations", sum(len(r.parsed.graph.edges) for r in self._rewards) / count
        )
        if self.mix.warmup_steps and state is not None:
            weights = self.mix.weights_at(state.global_step)
            for name in self.mix.warmup_steps:
                log_metric(f"reward_weights/{name}", weights[name])


def reward_functions(mix: RewardSpec, spec: GraphSpec, workers: int = 0) -> list[RewardFunction]:
    """One function per term, in TRL's form and the mix's order. Weights are the trainer's to apply."""
    scorer = BatchScorer(mix, spec, workers)
    return [_function(scorer, name) for name in mix.weights]


def _function(scorer: BatchScorer, name: str) -> RewardFunction:
    def term(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
        return [r.breakdown[name] for r in scorer.rewards(completions, columns)]

    term.__name__ = name
    return term


def _text(completion: Any) -> str:
    """TRL hands conversational completions as a list with one assistant message."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])
