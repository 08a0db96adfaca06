"""The synthetic scenes as a source: annotations only, images are drawn when asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from sgg.config.data import DataConfig, ImageSource, ScenePlan
from sgg.data.example import RawExample, RawObject, RawRelation
from sgg.data.shapes import scene
from sgg.data.sources.source import DataSource, Split
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


def _open(split: Split) -> ShapesReader:
    config = split.config
    return ShapesReader(split.data.shapes, config.seed, config.offset + (config.limit or 0))


def _problems(data: DataConfig) -> Iterator[str]:
    plan = data.shapes
    if not 1 <= plan.min_objects <= plan.max_objects <= 6:
        yield (
            f"data.shapes.min_objects={plan.min_objects}, max_objects={plan.max_objects}: "
            "must be 1 ≤ min ≤ max ≤ 6."
        )
    if not 8 <= plan.min_side < plan.max_side - 7 <= plan.side // 2:
        yield (
            f"data.shapes.min_side={plan.min_side}, max_side={plan.max_side}: must be at "
            f"least 8, 8 apart, and at most half of data.shapes.side={plan.side}."
        )
    for split, config in (("train", data.train), ("eval", data.eval)):
        if config.limit is None:
            yield f"data.{split}.limit is null, but data=shapes is endless: say how many scenes."
    if not 0 <= plan.nested <= 1:
        yield f"data.shapes.nested={plan.nested}: must be between 0 and 1."
    if data.image_source is ImageSource.painted:
        yield "data.image_source=painted is for annotated data; data=shapes draws its own images."


SOURCE = DataSource(_open, is_drawn=True, reads_path=False, reads_name=False, problems=_problems)
