"""Synthetic scenes: deterministic, true to their own geometry, drawn where they say."""

from __future__ import annotations

import numpy as np
import pytest
from data_files import config, prepared

from sgg.config.data import ScenePlan
from sgg.data.prepare import image_store, open_reader
from sgg.data.prepared_split import example
from sgg.data.shapes import COLOURS, draw, predicate, scene
from sgg.scene.boxes import iou
from sgg.scene.graph import Node, SceneGraph
from sgg.scene.vocab import SHAPES_OBJECTS, SHAPES_PREDICATES

PLANS = [ScenePlan(), ScenePlan(56, 1, 2, 10, 24), ScenePlan(224, 2, 6, 30, 80, nested=1.0)]


def by_geometry(a, b) -> str:
    """What stands between two boxes, by centres and corners, written without `sgg.data.shapes`."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a, b
    if ax1 >= bx1 and ay1 >= by1 and ax2 <= bx2 and ay2 <= by2:
        return "inside"
    if bx1 >= ax1 and by1 >= ay1 and bx2 <= ax2 and by2 <= ay2:
        return "around"
    right, down = (ax1 + ax2 - bx1 - bx2) / 2, (ay1 + ay2 - by1 - by2) / 2
    if abs(right) >= abs(down):
        return "right of" if right >= 0 else "left of"
    return "below" if down >= 0 else "above"


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: str(p.side))
def test_scenes_are_sound(plan):
    seen, counts = set(), set()
    for index in range(300):
        graph = scene(plan, 7, index)
        n = len(graph.nodes)
        counts.add(n)
        assert len({node.name for node in graph.nodes}) == n
        assert {node.name for node in graph.nodes} <= set(SHAPES_OBJECTS)
        for x1, y1, x2, y2 in (node.box for node in graph.nodes):
            assert 0 <= x1 < x2 <= plan.side
            assert 0 <= y1 < y2 <= plan.side
            assert plan.min_side <= x2 - x1 == y2 - y1 <= plan.max_side
        pairs = [(i, (i + 1) % n) for i in range(n)] if n > 1 else []
        assert [(e.subject, e.object) for e in graph.edges] == pairs
        for edge in graph.edges:
            boxes = graph.nodes[edge.subject].box, graph.nodes[edge.object].box
            assert edge.predicate == by_geometry(*boxes)
            seen.add(edge.predicate)
        overlap = iou(graph.boxes_xyxy, graph.boxes_xyxy)
        touching = np.argwhere(np.triu(overlap, 1) > 0)
        assert len(touching) <= 1
        for i, j in touching:  # one shape inside another, nothing in between
            assert by_geometry(graph.nodes[i].box, graph.nodes[j].box) in ("inside", "around")
    assert seen == set(SHAPES_PREDICATES)
    assert min(counts) >= plan.min_objects
    assert max(counts) == plan.max_objects


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((10, 10, 20, 20), (40, 12, 50, 22), "left of"),
        ((40, 12, 50, 22), (10, 10, 20, 20), "right of"),
        ((10, 10, 20, 20), (12, 40, 22, 50), "above"),
        ((12, 40, 22, 50), (10, 10, 20, 20), "below"),
        ((12, 12, 18, 18), (10, 10, 20, 20), "inside"),
        ((10, 10, 20, 20), (12, 12, 18, 18), "around"),
        ((10, 10, 20, 20), (40, 40, 50, 50), "left of"),  # a tie goes to the horizontal
    ],
)
def test_predicate(a, b, expected):
    assert predicate(a, b) == expected


def test_scenes_are_functions_of_seed_and_index():
    plan = PLANS[0]
    first = [scene(plan, 3, i) for i in range(40)]
    assert first == [scene(plan, 3, i) for i in reversed(range(40))][::-1]
    assert first != [scene(plan, 4, i) for i in range(40)]
    assert len(set(first)) == 40
    assert all(draw(plan, g).tobytes() == draw(plan, g).tobytes() for g in first[:5])


@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "cross"])
@pytest.mark.parametrize("colour", list(COLOURS))
def test_images_show_each_shape_in_its_box(colour, shape):
    plan = ScenePlan()
    image = draw(plan, SceneGraph((Node(f"{colour} {shape}", (30, 40, 60, 70)),)))
    assert image.size == (112, 112)
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    ours = (pixels == COLOURS[colour]).all(axis=-1)
    assert ours[55, 45]  # the centre of the box belongs to every shape
    rows, columns = np.nonzero(ours)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (30, 40, 59, 69)
    corners = ours[40, 30], ours[40, 59], ours[69, 30], ours[69, 59]
    full = {"square": (True,) * 4, "triangle": (False, False, True, True)}
    assert corners == full.get(shape, (False,) * 4)


def test_background_tells_the_place():
    pixels = np.asarray(draw(ScenePlan(), SceneGraph())).astype(int)
    assert (np.diff(pixels[:, :, 0], axis=1) >= 0).all()
    assert (np.diff(pixels[:, :, 2], axis=0) >= 0).all()
    assert pixels[0, -1, 0] - pixels[0, 0, 0] == 120
    assert pixels[-1, 0, 2] - pixels[0, 0, 2] == 120


def test_inner_shapes_are_drawn_over_outer_ones():
    inner, outer = Node("red square", (40, 40, 60, 60)), Node("blue square", (30, 30, 70, 70))
    image = draw(ScenePlan(), SceneGraph((inner, outer)))
    assert image.getpixel((50, 50)) == COLOURS["red"]
    assert image.getpixel((33, 50)) == COLOURS["blue"]


def test_shapes_as_a_source(tmp_path):
    data = config("shapes", split={"offset": 5, "limit": 10, "seed": 2})
    result = prepared(data, tmp_path)
    assert result.rows["image_id"][:2] == ["shapes-2-5", "shapes-2-6"]
    assert len(result) == result.report["read"]["images"] == 10
    assert result.report["issues"] == {}
    item = example(result.rows[0], image_store(data, "eval"))
    assert item.graph == scene(ScenePlan(), 2, 5)
    assert item.image.tobytes() == draw(ScenePlan(), item.graph).tobytes()
    assert len(open_reader(data, "eval")) == 15


def test_the_plan_is_part_of_the_fingerprint(tmp_path):
    split = {"limit": 3, "seed": 1}
    fingerprints = {
        prepared(config("shapes", split=split, shapes=plan), tmp_path).fingerprint
        for plan in (ScenePlan(), ScenePlan(side=224), ScenePlan(nested=0.0))
    }
    fingerprints.add(prepared(config("shapes", split=split | {"seed": 2}), tmp_path).fingerprint)
    assert len(fingerprints) == 4
