"""Graphs as small integer arrays: what the metrics compute on.

Input: graphs. Output: label ids, boxes and edges of one image. Names are compared in canonical
form, which is looked up once per spelling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgg.metrics.synonyms import NameMap
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import canonical

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Names:
    """Ids of canonical names, in the order in which they were first met."""

    def __init__(self) -> None:
        self._id_of: dict[str, int] = {}
        self._spellings: dict[str, int] = {}

    def id(self, name: str) -> int:
        """The id of a name in any spelling."""
        found = self._spellings.get(name)
        if found is None:
            found = self._id_of.setdefault(canonical(name), len(self._id_of))
            self._spellings[name] = found
        return found

    @property
    def listed(self) -> list[str]:
        """Canonical names by id."""
        return list(self._id_of)


@dataclass(frozen=True, slots=True)
class GraphArrays:
    """One graph."""

    labels: Ints
    """Name id of each node, shape (nodes,)."""
    boxes: Floats
    """xyxy, shape (nodes, 4)."""
    subjects: Ints
    predicates: Ints
    """Name id of each edge's predicate, shape (edges,)."""
    objects: Ints


def to_arrays(graph: SceneGraph, names: Names, renamed: NameMap | None = None) -> GraphArrays:
    """The arrays of a graph, names replaced by `renamed` first."""
    nodes, predicates = [n.name for n in graph.nodes], [e.predicate for e in graph.edges]
    if renamed:
        nodes = [renamed.objects.get(canonical(n), n) for n in nodes]
        predicates = [renamed.predicates.get(canonical(p), p) for p in predicates]
    return GraphArrays(
        np.array([names.id(n) for n in nodes], dtype=np.int64),
        np.array([n.box for n in graph.nodes], dtype=np.float64).reshape(-1, 4),
        np.array([e.subject for e in graph.edges], dtype=np.int64),
        np.array([names.id(p) for p in predicates], dtype=np.int64),
        np.array([e.object for e in graph.edges], dtype=np.int64),
    )
