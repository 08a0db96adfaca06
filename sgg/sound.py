"""Answers in which nothing is wrong, read in one sweep: the quick way of `sgg.codec`.

msgspec reads JSON straight into typed items and refuses whatever is not of the form. A refusal costs
little and means nothing: the careful way then reads the text again and says what is wrong.
"""

from __future__ import annotations

from itertools import repeat

import msgspec

from sgg.graph import Edge, Node, SceneGraph
from sgg.items import MAX_COORDINATE, MAX_ITEMS, new_tuple, read_id
from sgg.vocab import Vocabulary


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


def read_sound(
    body: str, vocabulary: Vocabulary | None, scale: tuple[float, float]
) -> SceneGraph | None:
    """The graph between the first and the last brace, if no item of it has any fault."""
    if '"objects"' not in body:
        return None
    try:
        document = _DECODER.decode(body[body.find("{") : body.rfind("}") + 1])
        objects, relations = document.objects, document.relationships
        ids = [item.id for item in objects]
        _, keys, names = zip(*map(read_id, ids), strict=True)
        index = dict(zip(ids, range(len(ids)), strict=True))
        starts = [index[item.subject] for item in relations]
        predicates = [read_id(item.predicate)[0] for item in relations]
        ends = [index[item.object] for item in relations]
    except (msgspec.MsgspecError, RecursionError, ValueError, KeyError):
        return None
    boxes = [item.bbox for item in objects]
    low, high = -MAX_COORDINATE, MAX_COORDINATE
    if "" in names or not len(set(keys)) == len(ids) <= MAX_ITEMS >= len(ends):
        return None
    for x1, y1, x2, y2 in boxes:
        if not (low <= x1 < x2 <= high and low <= y1 < y2 <= high):
            return None
    if vocabulary is not None and not (
        all(map(vocabulary.knows_object, names))
        and all(map(vocabulary.knows_predicate, predicates))
    ):
        return None
    if scale != (1.0, 1.0):
        scale_x, scale_y = scale
        boxes = [
            (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y) for x1, y1, x2, y2 in boxes
        ]
    nodes = tuple(map(new_tuple, repeat(Node), zip(names, boxes, strict=True)))
    edges = tuple(map(new_tuple, repeat(Edge), zip(starts, predicates, ends, strict=True)))
    return SceneGraph(nodes, edges)
