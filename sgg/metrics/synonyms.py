"""Synonyms: which names outside a vocabulary mean one of its own.

The strict score takes names as written; the mapped score stands beside it. The table is short and made
by hand on purpose: chains of WordNet senses lead from grass to pot, from shadow to tail and from wall
to fence (R1-SGG's rescue, docs/metrics.md), so nothing is inferred here but plain plurals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import Vocabulary, canonical

SYNONYMS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("airplane", "plane"),
    "airplane": ("plane",),
    "automobile": ("car",),
    "baseball cap": ("cap", "hat"),
    "below": ("under",),
    "beneath": ("under",),
    "underneath": ("under",),
    "beside": ("near",),
    "bicycle": ("bike",),
    "bike": ("bicycle",),
    "cell phone": ("phone",),
    "cellphone": ("cell phone", "phone"),
    "mobile phone": ("cell phone", "phone"),
    "phone": ("cell phone",),
    "close to": ("near", "beside"),
    "next to": ("near", "beside"),
    "near": ("beside",),
    "couch": ("sofa",),
    "sofa": ("couch",),
    "dining table": ("table",),
    "doughnut": ("donut",),
    "eyeglass": ("glass",),
    "gentleman": ("man", "person"),
    "guy": ("man", "person"),
    "man": ("person",),
    "woman": ("person",),
    "boy": ("person",),
    "girl": ("person",),
    "hair dryer": ("hair drier",),
    "has a": ("has",),
    "has on": ("wearing",),
    "having": ("has",),
    "inside": ("in",),
    "inside of": ("in",),
    "jeans": ("jean",),
    "kid": ("child", "person"),
    "motorbike": ("motorcycle",),
    "on top of": ("on",),
    "pants": ("pant",),
    "trousers": ("pant",),
    "pavement": ("sidewalk", "pavement merged"),
    "sidewalk": ("pavement merged",),
    "seated on": ("sitting on",),
    "sits on": ("sitting on",),
    "stands on": ("standing on",),
    "television": ("tv",),
    "tennis racket": ("racket",),
    "racket": ("tennis racket",),
    "traffic light": ("light",),
    "wearing a": ("wearing",),
    "tree": ("tree merged",),
    "grass": ("grass merged",),
    "building": ("building other merged",),
    "sky": ("sky other merged",),
    "mountain": ("mountain merged",),
    "fence": ("fence merged",),
    "rug": ("rug merged",),
    "wall": ("wall other merged",),
}
"""Canonical name -> names that may stand for it, the closest first; the first one known is taken."""


@dataclass(frozen=True, slots=True)
class NameMap:
    """Canonical name -> name of the vocabulary."""

    objects: Mapping[str, str]
    predicates: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.objects or self.predicates)


NO_RENAMES = NameMap({}, {})
_PLURALS = (("ies", "y"), ("es", ""), ("s", ""))


def renamed(
    graph: SceneGraph, vocabulary: Vocabulary, table: Mapping[str, str] | None = None
) -> NameMap:
    """What to read for each name of a graph that the vocabulary lacks.

    Args:
        table: canonical name -> name, instead of the shipped synonyms and the plural rule.

    """
    objects = {
        canonical(n.name): _object(canonical(n.name), vocabulary, table)
        for n in graph.nodes
        if not vocabulary.knows_object(n.name)
    }
    predicates = {
        canonical(e.predicate): _predicate(canonical(e.predicate), vocabulary, table)
        for e in graph.edges
        if not vocabulary.knows_predicate(e.predicate)
    }
    return NameMap(
        {name: target for name, target in objects.items() if target is not None},
        {name: target for name, target in predicates.items() if target is not None},
    )


def _object(name: str, vocabulary: Vocabulary, table: Mapping[str, str] | None) -> str | None:
    if table is not None:
        return table.get(name)
    for option in SYNONYMS.get(name, ()):
        if vocabulary.knows_object(option):
            return option
    for ending, stem in _PLURALS:
        singular = name[: -len(ending)] + stem
        if name.endswith(ending) and vocabulary.knows_object(singular):
            return singular
    return None


def _predicate(name: str, vocabulary: Vocabulary, table: Mapping[str, str] | None) -> str | None:
    if table is not None:
        return table.get(name)
    options = SYNONYMS.get(name.removeprefix("is "), ())
    return next(
        (o for o in (name.removeprefix("is "), *options) if vocabulary.knows_predicate(o)), None
    )
