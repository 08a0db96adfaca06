"""From an answer's text to its reward: parse once, match once, ask every term of the mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgg.codec import GraphSpec, Parsed, parse
from sgg.graph import SceneGraph
from sgg.match import assign
from sgg.options import MatchWeights, SimilarityKind
from sgg.reward import terms

TERMS: dict[str, Callable[..., float]] = {
    "format": terms.format,
    "node_acc": terms.node_acc,
    "node_box": terms.node_box,
    "edge_soft": terms.edge_soft,
    "edge_hard": terms.edge_hard,
    "edge_precision": terms.edge_precision,
    "edge_f1": terms.edge_f1,
    "edge_relax": terms.edge_relax,
}
"""Every term by the name that `reward.terms` takes."""


@dataclass(frozen=True)
class Mix:
    """Which terms count how much, and how names and boxes are compared."""

    weights: Mapping[str, float]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    similarity: SimilarityKind = SimilarityKind.exact
    match: MatchWeights = field(default_factory=MatchWeights)


@dataclass(frozen=True, slots=True)
class Reward:
    """The weighted sum with its unweighted parts."""

    total: float
    breakdown: Mapping[str, float]
    parsed: Parsed


def score(
    text: str, gold: SceneGraph, width: int, height: int, spec: GraphSpec, mix: Mix
) -> Reward:
    """The reward of one answer to an image of `width` × `height` pixels; never raises on text."""
    parsed = parse(text, spec, width, height)
    match = assign(parsed.graph, gold, width, height, mix.similarity, mix.match)
    case = terms.Case(parsed, gold, match)
    breakdown = {name: TERMS[name](case, **mix.options.get(name, {})) for name in mix.weights}
    total = sum(mix.weights[name] * value for name, value in breakdown.items())
    return Reward(total, breakdown, parsed)
