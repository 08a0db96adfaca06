"""The synthetic scenes as a source: annotations only, pictures are drawn when asked for."""

from __future__ import annotations

import json
from dataclasses import asdict

from sgg.config.data import ScenePlan
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.shapes import scene
from sgg.scene.graph import Triplet, node_id


class ShapesReader:
    """The first `count` scenes of a stream."""

    zero_shot: frozenset[Triplet] = frozenset()
    remarks: tuple[str, ...] = ()

    def __init__(self, plan: ScenePlan, seed: int, count: int) -> None:
        self._plan = plan
        self._seed = seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def identity(self) -> str:
        """The plan and the seed say everything."""
        return json.dumps([asdict(self._plan), self._seed])

    def read(self, index: int) -> RawExample:
        """One scene; never broken."""
        graph = scene(self._plan, self._seed, index)
        ids = [node_id(graph, i) for i in range(len(graph.nodes))]
        return RawExample(
            image_id=f"shapes-{self._seed}-{index}",
            image_ref="",
            width=self._plan.side,
            height=self._plan.side,
            objects=tuple(
                RawObject(i, n.name, n.box) for i, n in zip(ids, graph.nodes, strict=True)
            ),
            relations=tuple(
                RawRelation(ids[e.subject], e.predicate, ids[e.object]) for e in graph.edges
            ),
        )
