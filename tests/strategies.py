"""Graphs for tests: a short way to write one, hypothesis strategies, naive box arithmetic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from sgg.config.model import Frame
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import Box, Edge, Node, SceneGraph
from sgg.text.codec import GraphSpec

PX = GraphSpec(FrameSpec(Frame.original_px))
"""Boxes in pixels of the image itself: what is written is what is read."""

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Lone surrogates and control characters too."""


def scene(
    nodes: Sequence[tuple[str, Sequence[float]]] = (), edges: Sequence[tuple[int, str, int]] = ()
) -> SceneGraph:
    """`scene([("man", (0, 0, 9, 9)), ...], [(0, "on", 1), ...])`."""
    boxes: list[Box] = [(x1, y1, x2, y2) for _, (x1, y1, x2, y2) in nodes]
    return SceneGraph(
        tuple(Node(name, box) for (name, _), box in zip(nodes, boxes, strict=True)),
        tuple(Edge(*edge) for edge in edges),
    )


def completion(
    objects: Sequence[tuple[Any, Any]] = (), relations: Sequence[tuple[Any, Any, Any]] = ()
) -> str:
    """A completion's JSON from (id, bbox) and (subject id, predicate, object id), valid or not."""
    return json.dumps(
        {
            "objects": [{"id": i, "bbox": b} for i, b in objects],
            "relationships": [{"subject": s, "predicate": p, "object": o} for s, p, o in relations],
        }
    )


def naive_overlap(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """(IoU, GIoU) of two boxes in plain Python; inverted boxes are empty."""

    def size(box: Sequence[float]) -> float:
        return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])

    inter = size((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = size(a) + size(b) - inter
    hull = size((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))
    iou = inter / union if union > 0 else 0.0
    return iou, iou - ((hull - union) / hull if hull > 0 else 0.0)


@st.composite
def small_graphs(
    draw: st.DrawFn, max_nodes: int = 4, max_edges: int = 5, side: int = 6
) -> SceneGraph:
    """Few names, predicates and coarse boxes, so that equal labels and overlaps are common."""
    nodes = []
    for _ in range(draw(st.integers(0, max_nodes))):
        x1, y1 = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
        x2, y2 = draw(st.integers(x1 + 1, side)), draw(st.integers(y1 + 1, side))
        nodes.append((draw(st.sampled_from(["man", "Man", "dog"])), (x1, y1, x2, y2)))
    ends = st.integers(0, max(0, len(nodes) - 1))
    edge = st.tuples(ends, st.sampled_from(["on", "in_front of", "in front of"]), ends)
    return scene(nodes, draw(st.lists(edge, max_size=max_edges)) if nodes else [])
