"""Synthetic scenes of coloured shapes: unlimited, seeded, free of any licence question.

A scene is a pure function of (seed, index). Objects are in raster order, and each is related to
the next one (the last to the first) by the one predicate that geometry gives the pair, so the gold
is complete and a model can learn it by looking. The background's red rises with x and its blue with
y: small models find positions by it (they learn several times as fast as on white).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sgg.config.data import ScenePlan
from sgg.scene.graph import Box, Edge, Node, SceneGraph
from sgg.scene.vocab import SHAPES_OBJECTS

COLOURS = {
    "red": (225, 40, 40),
    "green": (30, 170, 60),
    "blue": (50, 80, 230),
    "yellow": (245, 215, 40),
}
_PLACING_TRIES = 200


def scene(plan: ScenePlan, seed: int, index: int) -> SceneGraph:
    """The graph of scene `index` of a stream: boxes in pixels of the image, raster order."""
    rng = np.random.default_rng([seed, index])
    count = int(rng.integers(plan.min_objects, plan.max_objects + 1))
    classes = rng.choice(len(SHAPES_OBJECTS), size=count, replace=False)
    boxes = _place(plan, rng, count)
    order = sorted(range(len(boxes)), key=lambda i: (boxes[i][1] // 28, boxes[i][0]))
    nodes = tuple(Node(SHAPES_OBJECTS[classes[i]], boxes[i]) for i in order)
    if len(nodes) < 2:
        return SceneGraph(nodes)
    pairs = [(i, (i + 1) % len(nodes)) for i in range(len(nodes))]
    edges = (Edge(a, predicate(nodes[a].box, nodes[b].box), b) for a, b in pairs)
    return SceneGraph(nodes, tuple(edges))


def predicate(subject: Box, obj: Box) -> str:
    """The one predicate between two boxes: containment first, then the larger offset of centres."""
    if _contains(obj, subject):
        return "inside"
    if _contains(subject, obj):
        return "around"
    dx = (subject[0] + subject[2]) - (obj[0] + obj[2])
    dy = (subject[1] + subject[3]) - (obj[1] + obj[3])
    if abs(dx) >= abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def draw(plan: ScenePlan, graph: SceneGraph) -> Image.Image:
    """The image of a scene, RGB, `plan.side` pixels square; large shapes lie behind small ones."""
    image = Image.fromarray(_background(plan.side))
    pen = ImageDraw.Draw(image)
    for node in sorted(graph.nodes, key=lambda n: n.box[0] - n.box[2]):
        colour, shape = node.name.split()
        _draw_shape(pen, shape, COLOURS[colour], node.box)
    return image


def _place(plan: ScenePlan, rng: np.random.Generator, count: int) -> list[Box]:
    """Boxes that do not touch, but for at most one that lies inside another."""
    boxes: list[Box] = []
    nested = count >= 2 and rng.random() < plan.nested
    if nested:
        side = plan.max_side
        outer = _random_box(plan, rng, side)
        inner_side = plan.min_side
        room = side - inner_side - 8
        x, y = (int(v) + 4 for v in rng.integers(0, room + 1, size=2))
        left, top = outer[0] + x, outer[1] + y
        boxes = [outer, (left, top, left + inner_side, top + inner_side)]
    for _ in range(_PLACING_TRIES):
        if len(boxes) == count:
            break
        side = int(rng.integers(plan.min_side, plan.max_side - 7))
        box = _random_box(plan, rng, side)
        if all(_apart(box, other, 3) for other in boxes):
            boxes.append(box)
    return boxes


def _random_box(plan: ScenePlan, rng: np.random.Generator, side: int) -> Box:
    x, y = (int(v) for v in rng.integers(1, plan.side - side - 1, size=2))
    return (x, y, x + side, y + side)


def _apart(a: Box, b: Box, gap: int) -> bool:
    return a[2] + gap <= b[0] or b[2] + gap <= a[0] or a[3] + gap <= b[1] or b[3] + gap <= a[1]


def _contains(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and outer[2] >= inner[2]
        and outer[3] >= inner[3]
    )


@lru_cache(maxsize=4)
def _background(side: int) -> NDArray[np.uint8]:
    ramp = np.linspace(-60, 60, side)
    grid = np.full((side, side, 3), 180.0)
    grid[:, :, 0] += ramp[None, :]
    grid[:, :, 2] += ramp[:, None]
    return grid.astype(np.uint8)


def _draw_shape(
    pen: ImageDraw.ImageDraw, shape: str, colour: tuple[int, int, int], box: Box
) -> None:
    x1, y1, x2, y2 = box[0], box[1], box[2] - 1, box[3] - 1  # PIL's last pixel is inclusive
    if shape == "circle":
        pen.ellipse((x1, y1, x2, y2), fill=colour)
    elif shape == "square":
        pen.rectangle((x1, y1, x2, y2), fill=colour)
    elif shape == "triangle":
        pen.polygon([((x1 + x2) / 2, y1), (x2, y2), (x1, y2)], fill=colour)
    else:  # cross
        third_w, third_h = (x2 - x1) / 3, (y2 - y1) / 3
        pen.rectangle((x1 + third_w, y1, x2 - third_w, y2), fill=colour)
        pen.rectangle((x1, y1 + third_h, x2, y2 - third_h), fill=colour)
