"""The scene graph: what an image shows, as named boxes and the relations between them.

Input: names, boxes and indices. Output: one immutable value that every other module speaks.
No frame conversion, no text, no I/O: boxes are (x1, y1, x2, y2) in pixels of the original image
unless the holder says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Triplet = tuple[str, str, str]

MAX_OBJECTS = MAX_RELATIONS = 1000
"""Most of one image in annotations, and in predictions that are graphs: each is compared with each."""

_NUMBER_SUFFIX = re.compile(r"\.\d+$")


class Node(NamedTuple):
    """One object of the image."""

    name: str
    """Class name as the source or the model wrote it; compare with `vocab.canonical`."""
    box: Box
    """(x1, y1, x2, y2), x2 > x1 and y2 > y1 in a clean graph."""


class Edge(NamedTuple):
    """One relation: `nodes[subject] predicate nodes[object]`."""

    subject: int
    predicate: str
    object: int


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """Nodes and edges in the order they were annotated or written; order ranks predictions.

    Raises:
        ValueError: an edge points past the nodes.

    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.nodes)
        for subject, predicate, obj in self.edges:
            if not (0 <= subject < n and 0 <= obj < n):
                edge = Edge(subject, predicate, obj)
                raise ValueError(f"{edge} points outside the graph's {n} nodes")

    @property
    def boxes_xyxy(self) -> NDArray[np.float64]:
        """All boxes, shape (len(nodes), 4), in the graph's own frame."""
        return np.array([node.box for node in self.nodes], dtype=np.float64).reshape(-1, 4)

    def triplet(self, edge: Edge) -> Triplet:
        """The three labels of an edge: (subject name, predicate, object name)."""
        return self.nodes[edge.subject].name, edge.predicate, self.nodes[edge.object].name

    def with_boxes(self, boxes_xyxy: NDArray[Any]) -> SceneGraph:
        """The same graph with other boxes, shape (len(nodes), 4): a change of frame."""
        rows = boxes_xyxy.tolist()
        nodes = tuple(
            Node(n.name, (r[0], r[1], r[2], r[3])) for n, r in zip(self.nodes, rows, strict=True)
        )
        return SceneGraph(nodes, self.edges)

    def reorder(self, order: Sequence[int]) -> SceneGraph:
        """The same graph with `nodes[order[0]]` first; `order` is a permutation of all nodes."""
        if sorted(order) != list(range(len(self.nodes))):
            raise ValueError(f"order {list(order)} is no permutation of {len(self.nodes)} nodes")
        new_of_old = {old: new for new, old in enumerate(order)}
        edges = (Edge(new_of_old[e.subject], e.predicate, new_of_old[e.object]) for e in self.edges)
        return SceneGraph(tuple(self.nodes[i] for i in order), tuple(edges))


def node_id(graph: SceneGraph, index: int) -> str:
    """The written id of a node: its name and its 1-based place, `person.2`."""
    return f"{graph.nodes[index].name}.{index + 1}"


def name_of_id(written_id: str) -> str:
    """The class name in a written id: `person.2` -> `person`; without a number, the whole id."""
    return _NUMBER_SUFFIX.sub("", written_id)


def to_dict(graph: SceneGraph) -> dict[str, list[dict[str, Any]]]:
    """The graph in R1-SGG's JSON form, boxes as they are (integers where they are whole)."""
    ids = [node_id(graph, i) for i in range(len(graph.nodes))]
    objects = [
        {"id": ids[i], "bbox": [_whole(v) for v in node.box]} for i, node in enumerate(graph.nodes)
    ]
    relationships = [
        {"subject": ids[e.subject], "predicate": e.predicate, "object": ids[e.object]}
        for e in graph.edges
    ]
    return {"objects": objects, "relationships": relationships}


def from_dict(data: Mapping[str, Iterable[Mapping[str, Any]]]) -> SceneGraph:
    """Inverse of `to_dict` for graphs that this project wrote itself; strangers go through `data`.

    Raises:
        KeyError: a relation names an id that no object has.

    """
    index: dict[str, int] = {}
    nodes: list[Node] = []
    for item in data["objects"]:
        index[item["id"]] = len(nodes)
        x1, y1, x2, y2 = item["bbox"]
        nodes.append(Node(name_of_id(item["id"]), (x1, y1, x2, y2)))
    edges = (
        Edge(index[r["subject"]], r["predicate"], index[r["object"]]) for r in data["relationships"]
    )
    return SceneGraph(tuple(nodes), tuple(edges))


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else value
