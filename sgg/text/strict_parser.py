"""Completions in which nothing is wrong, read in one sweep: the quick way of `sgg.text.codec`.

msgspec reads JSON straight into typed items and refuses whatever is not of the form. A refusal costs
little and means nothing: the careful way then reads the text again and says what is wrong.
"""

from __future__ import annotations

from functools import partial

import msgspec

from sgg.scene.graph import Box, Edge, Node, SceneGraph
from sgg.text.tolerant_parser import (
    MAX_COORDINATE,
    MAX_ITEMS,
    View,
    frame_faults,
    new_tuple,
    read_id,
)


class _Object(msgspec.Struct, gc=False):
    id: str
    bbox: tuple[float, float, float, float]


class _Relation(msgspec.Struct, gc=False):
    subject: str
    predicate: str
    object: str


class _Document(msgspec.Struct, gc=False):
    objects: list[_Object]
    relationships: list[_Relation]


_DECODER = msgspec.json.Decoder(_Document)
_new_node = partial(new_tuple, Node)


def parse_strict(body: str, view: View) -> SceneGraph | None:
    """The graph between the first and the last brace, if no item of it has any fault."""
    end = body.rfind("}") + 1
    if '"objects"' not in body or "{" in body[end:]:
        return None
    text = body[body.find("{") : end]
    try:
        document = _DECODER.decode(text)
        objects = document.objects
        ids = [item.id for item in objects]
        _, keys, names, sound = zip(*map(read_id, ids), strict=True)
        index = {written: place for place, written in enumerate(ids)}
        edges = [
            new_tuple(Edge, (index[r.subject], read_id(r.predicate)[0], index[r.object]))
            for r in document.relationships
        ]
    except (msgspec.MsgspecError, RecursionError, ValueError, KeyError):
        return None
    if not all(sound) or not len(set(keys)) == len(ids) <= MAX_ITEMS >= len(edges):
        return None
    # msgspec passes over other keys, and over all but the last of equal ones
    if text.count(":") != 2 + 2 * len(ids) + 3 * len(edges):
        return None
    boxes = [item.bbox for item in objects]
    vocabulary, (width, height), (scale_x, scale_y) = view
    for x1, y1, x2, y2 in boxes:
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height and y2 > 1):
            if not all(_sound_box(box, view.frame) for box in boxes):
                return None
            break
    if vocabulary is not None and not (
        all(map(vocabulary.knows_object, names))
        and all(vocabulary.knows_predicate(edge.predicate) for edge in edges)
    ):
        return None
    if not scale_x == 1 == scale_y:
        boxes = [
            (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y) for x1, y1, x2, y2 in boxes
        ]
    return SceneGraph(tuple(map(_new_node, zip(names, boxes, strict=True))), tuple(edges))


def _sound_box(box: Box, frame: tuple[float, float]) -> bool:
    x1, y1, x2, y2 = box
    low, high = -MAX_COORDINATE, MAX_COORDINATE
    return low <= x1 < x2 <= high and low <= y1 < y2 <= high and not frame_faults(box, frame)
