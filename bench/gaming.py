"""What degenerate completions earn under each reward preset: `python bench/gaming.py`.

Every adversary writes completions for the same made-up images; a row of the table is its mean total as a
share of what the gold itself earns. `*` marks what an honest half-right completion does not beat. `--write`
puts the table into docs/rewards.md between its two marks.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

from page import put

from sgg.config.compose import compose_config
from sgg.config.model import Frame
from sgg.config.tree import options_of
from sgg.reward.mix import reward_mix
from sgg.reward.score import score
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.vocab import VG150_OBJECTS, VG150_PREDICATES
from sgg.text.codec import GraphSpec, render

SIDE = 1000
SPEC = GraphSpec(FrameSpec(Frame.original_px))
MARK = "<!-- gaming -->"
Adversary = Callable[[SceneGraph, random.Random], SceneGraph]


def scene(rng: random.Random) -> SceneGraph:
    """Four to ten objects and as many relations, like an image of VG150."""
    nodes = []
    for _ in range(rng.randint(4, 10)):
        x, y = rng.randrange(0, SIDE - 200), rng.randrange(0, SIDE - 200)
        box = (x, y, x + rng.randrange(60, 200), y + rng.randrange(60, 200))
        nodes.append(Node(rng.choice(VG150_OBJECTS), box))
    pairs = rng.sample([(s, o) for s in range(len(nodes)) for o in range(len(nodes)) if s != o], 8)
    kept = pairs[: rng.randint(3, 8)]
    return SceneGraph(
        tuple(nodes), tuple(Edge(s, rng.choice(VG150_PREDICATES), o) for s, o in kept)
    )


def gold(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    return graph


def half_right(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Half of the relations and their objects, exact; of the other half wrong labels, said honestly."""
    edges = list(graph.edges)
    rng.shuffle(edges)
    half = (len(edges) + 1) // 2
    wrong = [Edge(s, rng.choice(VG150_PREDICATES), o) for s, _, o in edges[half:]]
    return SceneGraph(graph.nodes, (*edges[:half], *wrong))


def half_said(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Half of the relations and the objects in them, exact; no word about the rest."""
    edges = rng.sample(list(graph.edges), (len(graph.edges) + 1) // 2)
    used = sorted({i for e in edges for i in (e.subject, e.object)})
    place = {old: new for new, old in enumerate(used)}
    return SceneGraph(
        tuple(graph.nodes[i] for i in used),
        tuple(Edge(place[s], p, place[o]) for s, p, o in edges),
    )


def empty(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    return SceneGraph()


def spam_one_predicate(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Gold's objects, and the commonest predicate between all pairs."""
    return _all_pairs(graph, ["on"])


def spam_all_pairs(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Gold's objects, and every predicate between all pairs."""
    return _all_pairs(graph, VG150_PREDICATES)


def copied_boxes(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Gold's names and relations, each name on every box of gold."""
    n = len(graph.nodes)
    nodes = [Node(a.name, b.box) for a in graph.nodes for b in graph.nodes]
    edges = [
        Edge(s * n + i, p, o * n + j) for s, p, o in graph.edges for i in range(n) for j in range(n)
    ]
    return SceneGraph(tuple(nodes), tuple(edges))


def whole_image_boxes(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    return SceneGraph(tuple(Node(n.name, (0, 0, SIDE, SIDE)) for n in graph.nodes), graph.edges)


def one_object_repeated(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """One right object twenty times, and its one relation as often."""
    edge = graph.edges[0]
    ends = [graph.nodes[edge.subject], graph.nodes[edge.object]]
    return SceneGraph(tuple(ends * 10), tuple(Edge(i, edge.predicate, i + 1) for i in range(19)))


def wrong_labels(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Right boxes, wrong names and predicates."""
    nodes = tuple(Node(_other(n.name, VG150_OBJECTS, rng), n.box) for n in graph.nodes)
    edges = (Edge(s, _other(p, VG150_PREDICATES, rng), o) for s, p, o in graph.edges)
    return SceneGraph(nodes, tuple(edges))


def wrong_boxes(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Right names and relations, boxes anywhere."""
    boxes = [n.box for n in scene(rng).nodes]
    return SceneGraph(
        tuple(Node(n.name, boxes[i % len(boxes)]) for i, n in enumerate(graph.nodes)), graph.edges
    )


def shuffled_ids(graph: SceneGraph, rng: random.Random) -> SceneGraph:
    """Gold's ids dealt out to other boxes: every name is there, every box, never together."""
    boxes = [n.box for n in graph.nodes]
    boxes = boxes[1:] + boxes[:1]
    nodes = tuple(Node(n.name, box) for n, box in zip(graph.nodes, boxes, strict=True))
    return SceneGraph(nodes, graph.edges)


def _all_pairs(graph: SceneGraph, predicates: tuple[str, ...] | list[str]) -> SceneGraph:
    n = range(len(graph.nodes))
    edges = (Edge(s, p, o) for s in n for o in n if s != o for p in predicates)
    return SceneGraph(graph.nodes, tuple(edges))


def _other(name: str, names: tuple[str, ...], rng: random.Random) -> str:
    return rng.choice([n for n in names if n != name])


HONEST: dict[str, Adversary] = {
    "gold": gold,
    "half right, half wrong predicates": half_right,
    "half said, nothing wrong": half_said,
}
ADVERSARIES: dict[str, Adversary] = {
    "empty graph": empty,
    "spam: `on` for all pairs": spam_one_predicate,
    "spam: all predicates, all pairs": spam_all_pairs,
    "copied boxes": copied_boxes,
    "whole-image boxes": whole_image_boxes,
    "one object repeated": one_object_repeated,
    "right boxes, wrong labels": wrong_labels,
    "right labels, wrong boxes": wrong_boxes,
    "gold with shuffled ids": shuffled_ids,
}


def presets() -> list[str]:
    return [name for name in options_of("reward") if name != "none"]


def totals(preset: str, images: int = 40, seed: int = 0) -> dict[str, float]:
    """Mean total of each completion under a preset, as a share of the gold's own."""
    mix = reward_mix(compose_config([f"reward={preset}"]).reward)
    means = {}
    for name, make in {**HONEST, **ADVERSARIES}.items():
        rng, total = random.Random(seed), 0.0
        for _ in range(images):
            graph = scene(rng)
            text = render(make(graph, random.Random(rng.random())), SPEC, SIDE, SIDE)
            total += score(text, graph, SIDE, SIDE, SPEC, mix).total
        means[name] = total / images
    return {name: value / means["gold"] for name, value in means.items()}


def table(images: int) -> str:
    by_preset = {name: totals(name, images) for name in presets()}
    lines = [
        "| completion | " + " | ".join(by_preset) + " |",
        "|---|" + "---|" * len(by_preset),
    ]
    for name in (*HONEST, *ADVERSARIES):
        cells = []
        for values in by_preset.values():
            honest = min(values[h] for h in HONEST)
            star = "*" if name in ADVERSARIES and values[name] >= honest else ""
            cells.append(f"{values[name]:.2f}{star}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/rewards.md")
    args = parser.parse_args()
    made = table(args.images)
    print(made)
    if args.write:
        put(MARK, made)


if __name__ == "__main__":
    main()
