"""From a completion's text to its reward: parse once, match once, ask every term of the mix.

A term's value passes its gate (another term's value, multiplied), then its clip; its weight counts in
the total. Warm-up changes weights by the training step, never values, so that it means the same whether
TRL sums terms before or after normalising them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import mul
from typing import Any, NamedTuple

from sgg.config.reward import MatchWeights, NameSimilarity, SimilarityKind
from sgg.errors import SggError
from sgg.reward.case import ScoredCompletion
from sgg.reward.registry import Term, find_term
from sgg.scene.graph import SceneGraph
from sgg.scene.match import assign_group
from sgg.text.codec import GraphSpec, Parsed, parse


@dataclass(frozen=True)
class RewardSpec:
    """Which terms count how much, and how names and boxes are compared; mappings are by term name."""

    weights: Mapping[str, float]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    similarity: NameSimilarity | SimilarityKind = SimilarityKind.exact
    match: MatchWeights = field(default_factory=MatchWeights)
    gates: Mapping[str, str] = field(default_factory=dict)
    """Term whose value is multiplied in; it takes its own options, and need not be in the mix."""
    clips: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    warmup_steps: Mapping[str, int] = field(default_factory=dict)
    """Optimiser steps over which a weight grows from 1/steps of itself to its full size."""
    import_paths: Mapping[str, str] = field(default_factory=dict)

    def weights_at(self, step: int) -> dict[str, float]:
        """The weights of optimiser step `step`, counted from 0."""
        return {
            name: weight * min(1.0, (step + 1) / (self.warmup_steps.get(name) or 1))
            for name, weight in self.weights.items()
        }

    def term(self, name: str) -> Term:
        """The function behind a name."""
        return find_term(name, self.import_paths.get(name))

    @property
    def sees_groups(self) -> bool:
        """Whether some term needs all completions for an image at once."""
        return any(self.term(name).group for name in (*self.weights, *self.gates.values()))


def with_counts(mix: RewardSpec, count: Callable[[], Mapping[str, float]]) -> RewardSpec:
    """The mix with predicate counts for the terms that weigh by them and have none of their own.

    `count` is called only if there is such a term.
    """
    names = [*mix.weights, *mix.gates.values()]
    needy = [name for name in names if "counts" in mix.term(name).options]
    needy = [name for name in needy if "counts" not in mix.options.get(name, {})]
    if not needy:
        return mix
    counts = dict(count())
    given = {name: {**mix.options.get(name, {}), "counts": counts} for name in needy}
    return replace(mix, options={**mix.options, **given})


class Reward(NamedTuple):
    """The weighted sum with its unweighted parts."""

    total: float
    breakdown: Mapping[str, float]
    parsed: Parsed


def score(
    text: str, gold: SceneGraph, width: int, height: int, spec: GraphSpec, mix: RewardSpec
) -> Reward:
    """The reward of one completion for an image of `width` × `height` pixels; never raises on text."""
    (reward,) = Scorer(mix, spec).group([text], gold, width, height)
    return reward


class Group(NamedTuple):
    """All completions for one image, and what they are compared with."""

    texts: Sequence[str]
    gold: SceneGraph
    width: int
    height: int


AT_ONCE = 32
"""Groups whose pairwise values are in memory together."""


class Scorer:
    """A mix made ready: functions found, options bound."""

    def __init__(self, mix: RewardSpec, spec: GraphSpec) -> None:
        self.mix = mix
        self.spec = spec
        names = [*mix.weights, *(g for g in mix.gates.values() if g not in mix.weights)]
        self._terms = [
            (name, term.group, partial(term.function, **mix.options.get(name, {})))
            for name, term in ((name, mix.term(name)) for name in dict.fromkeys(names))
        ]
        self._shaped = bool(mix.gates or mix.clips)

    def group(
        self, texts: Sequence[str], gold: SceneGraph, width: int, height: int
    ) -> list[Reward]:
        """The rewards of all completions for one image."""
        return self.groups([Group(texts, gold, width, height)])

    def groups(self, groups: Sequence[Group]) -> list[Reward]:
        """The rewards of all completions in order; equal completions for an image are read and scored once.

        Each step is done for many groups before the next one: so its code stays in the processor's cache.
        """
        rewards: list[Reward] = []
        for start in range(0, len(groups), AT_ONCE):
            part = groups[start : start + AT_ONCE]
            for group, cases in zip(part, self._cases(part), strict=True):
                rewards += self._rewards(group.texts, cases)
        return rewards

    def case(self, text: str, gold: SceneGraph, width: int, height: int) -> ScoredCompletion:
        """One completion, parsed and matched."""
        ((case,),) = self._cases([Group([text], gold, width, height)])
        return case

    def _cases(self, groups: Sequence[Group]) -> list[list[ScoredCompletion]]:
        """The distinct completions of each group, parsed and matched."""
        mix, spec = self.mix, self.spec
        read = [
            [
                (text, parse(text, spec, group.width, group.height))
                for text in dict.fromkeys(group.texts)
            ]
            for group in groups
        ]
        matched = [
            assign_group(
                [parsed.graph for _, parsed in completions],
                group.gold,
                group.width,
                group.height,
                mix.similarity,
                mix.match,
            )
            for group, completions in zip(groups, read, strict=True)
        ]
        return [
            [
                ScoredCompletion(parsed, group.gold, match, text)
                for (text, parsed), match in zip(completions, matches, strict=True)
            ]
            for group, completions, matches in zip(groups, read, matched, strict=True)
        ]

    def _rewards(self, texts: Sequence[str], cases: list[ScoredCompletion]) -> list[Reward]:
        """One reward for each text of a group, from the cases of its distinct texts."""
        place = {case.text: i for i, case in enumerate(cases)}
        raw: dict[str, list[float]] = {}
        for name, sees_group, function in self._terms:
            try:
                if sees_group:
                    values = function([cases[place[text]] for text in texts])
                    last = dict(zip(texts, values, strict=True))
                    raw[name] = [float(last[text]) for text in place]
                else:
                    raw[name] = [float(function(case)) for case in cases]
            except Exception as error:
                if name not in self.mix.import_paths:
                    raise
                raise self._failed(name, error) from error
        if self._shaped:
            raw = {name: self._shape(name, raw) for name in self.mix.weights}
        names, weights = list(self.mix.weights), list(self.mix.weights.values())
        columns = [raw[name] for name in names]
        rewards = [
            Reward(
                sum(map(mul, weights, values)), dict(zip(names, values, strict=True)), case.parsed
            )
            for case, *values in zip(cases, *columns, strict=True)
        ]
        return [rewards[place[text]] for text in texts]

    def _failed(self, name: str, error: Exception) -> SggError:
        """The error of a user's own term, with the term's name and what it must return."""
        what = f"reward.terms.{name} ({self.mix.import_paths[name]})"
        return SggError(
            f"{what} failed: {type(error).__name__}: {error}. A term of one `case` returns a number; one "
            "whose first parameter is called `cases` returns a number for each of them."
        )

    def _shape(self, name: str, raw: Mapping[str, list[float]]) -> list[float]:
        values = raw[name]
        if name in self.mix.gates:
            gate = raw[self.mix.gates[name]]
            values = [value * factor for value, factor in zip(values, gate, strict=True)]
        if name in self.mix.clips:
            low, high = self.mix.clips[name]
            values = [min(max(value, low), high) for value in values]
        return values
