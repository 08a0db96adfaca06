"""The hinge between graphs and text: `render` writes a graph, `parse` reads an answer.

One `GraphSpec` drives the prompt, the SFT target and the parser, so training and scoring cannot
drift apart. `parse(render(g))` is `g` up to one rounding step of the frame. Bad text is data:
`parse` never raises, costs time linear in the text (cut at MAX_CHARS), keeps every whole item and
says what was wrong by kind and by item. It refuses to guess: a box is never invented or repaired.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from sgg.boxes import FrameSpec
from sgg.graph import Edge, Node, SceneGraph, name_of_id, to_dict
from sgg.lenient_json import read_json
from sgg.vocab import Vocabulary

MAX_CHARS = 1 << 20
"""Text past this many characters is not read, and the answer counts as truncated."""
MAX_NAME = 128
"""Characters of a name or id; a longer one is no name."""
MAX_COORDINATE = 1e7
MAX_CANDIDATES = 4
"""Places in the text at which a graph is looked for."""


class ErrorKind(Enum):
    """What can be wrong with an answer. The first four concern the whole, the rest one item."""

    no_json = "no_json"
    """No JSON object with `objects` or `relationships` was found."""
    truncated = "truncated"
    """The text ended inside the JSON; whole items before that are kept."""
    malformed = "malformed"
    """A syntax error inside the JSON; whole items before it are kept."""
    empty = "empty"
    """No usable object."""
    trailing_comma = "trailing_comma"
    missing_list = "missing_list"
    """`objects` or `relationships` is absent or no list."""
    bad_object = "bad_object"
    """Not a mapping with a text id that names a class."""
    bad_box = "bad_box"
    """Not four finite numbers."""
    degenerate_box = "degenerate_box"
    """x2 <= x1 or y2 <= y1."""
    duplicate_id = "duplicate_id"
    """An id seen before; the first one stays."""
    bad_relation = "bad_relation"
    """Not a mapping with three texts."""
    dangling_relation = "dangling_relation"
    """An end that no usable object declares."""
    unknown_class = "unknown_class"
    """Outside a closed vocabulary; the item is kept, as a miss."""
    unknown_predicate = "unknown_predicate"
    """Outside a closed vocabulary; the item is kept, as a miss."""


FAILURES = frozenset({ErrorKind.no_json, ErrorKind.truncated, ErrorKind.malformed, ErrorKind.empty})
"""The kinds that make an answer a failure; the others cost one item each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong, and the item it concerns (empty for the whole answer)."""

    kind: ErrorKind
    item: str = ""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How graphs are written for one model and prompt."""

    frame: FrameSpec
    reasoning: bool = False
    """Whether the answer is to stand in <think>…</think><answer>…</answer>."""
    vocabulary: Vocabulary | None = None
    """Closed vocabulary of the prompt; None where any name is allowed."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says. The graph is in original pixels and may be empty."""

    graph: SceneGraph
    problems: tuple[Problem, ...] = ()
    tags_as_asked: bool = True
    """Whether closed think and answer tags are there, if the spec wants them."""

    @property
    def failure(self) -> ErrorKind | None:
        """The first kind that makes the answer a failure as a whole, if any."""
        return next((p.kind for p in self.problems if p.kind in FAILURES), None)


def render(graph: SceneGraph, spec: GraphSpec, width: int, height: int) -> str:
    """The graph as the model is to write it: compact JSON, boxes in the spec's frame.

    `graph` is in pixels of the original image of `width` × `height`. With `spec.reasoning` the JSON
    stands in answer tags after an empty thought: gold has no thoughts, and a target without the tags
    would teach SFT a form that GRPO's format term then punishes.
    """
    framed = graph.with_boxes(spec.frame.encode(graph.boxes_xyxy, width, height))
    text = json.dumps(to_dict(framed), separators=(",", ":"), ensure_ascii=False)
    return f"<think></think><answer>{text}</answer>" if spec.reasoning else text


def parse(text: str, spec: GraphSpec, width: int, height: int) -> Parsed:
    """Read an answer to an image of `width` × `height` pixels; see the module's promises.

    Whatever the spec says, think and answer tags, code fences and prose around the JSON are
    accepted, numbers may be strings, and a single trailing comma is noted and forgiven.
    """
    body, tagged, closed = _answer_part(text[:MAX_CHARS])
    tags_as_asked = tagged or not spec.reasoning
    document, syntax = _find_graph(body)
    if document is None:
        return Parsed(SceneGraph(), (Problem(ErrorKind.no_json),), tags_as_asked)
    problems = [Problem(kind) for kind in syntax]
    for key in ("objects", "relationships"):
        if not FAILURES.intersection(syntax) and not isinstance(document.get(key), list):
            problems.append(Problem(ErrorKind.missing_list, key))
    if len(text) > MAX_CHARS and not closed and ErrorKind.truncated not in syntax:
        problems.append(Problem(ErrorKind.truncated))
    nodes, index = _read_objects(document.get("objects"), spec, problems)
    if not nodes:
        problems.append(Problem(ErrorKind.empty))
    edges = _read_relations(document.get("relationships"), index, spec, problems)
    graph = SceneGraph(tuple(nodes), tuple(edges))
    if nodes:
        graph = graph.with_boxes(spec.frame.decode(graph.boxes_xyxy, width, height))
    return Parsed(graph, tuple(problems), tags_as_asked)


def _answer_part(text: str) -> tuple[str, bool, bool]:
    """The part that holds the answer; whether thought and answer are both tagged; whether it ended."""
    thought, closed, rest = text.rpartition("</think>")
    has_think = bool(closed) and "<think>" in thought
    if "{" not in rest:  # a thought that closes after the answer hides nothing
        has_think, rest = False, text
    _, opened, inside = rest.partition("<answer>")
    if not opened:
        return rest, False, False
    inside, ended, _ = inside.partition("</answer>")
    return inside, has_think and bool(ended), bool(ended)


_DECODER = json.JSONDecoder(parse_int=float, strict=False)
_CANDIDATE = re.compile(r'\{\s*"')


def _find_graph(body: str) -> tuple[dict[str, Any] | None, list[ErrorKind]]:
    """The first JSON object with a graph's keys, and the whole-answer problems met on the way."""
    if '"objects"' not in body and '"relationships"' not in body:
        return None, []
    position = 0
    for _ in range(MAX_CANDIDATES):
        found = _CANDIDATE.search(body, position)
        if found is None:
            return None, []
        syntax: list[ErrorKind] = []
        try:
            document, end = _DECODER.raw_decode(body, found.start())
        except (ValueError, RecursionError):
            document, end, met = read_json(body, found.start())
            # the lenient reader takes `.5` and wrong escapes: no item is lost, but it is no JSON
            syntax = [ErrorKind[kind.name] for kind in met] or [ErrorKind.malformed]
        if isinstance(document, dict) and ("objects" in document or "relationships" in document):
            return document, syntax
        position = max(end, found.start() + 1)
    return None, []


def _read_objects(
    items: Any, spec: GraphSpec, problems: list[Problem]
) -> tuple[list[Node], dict[str, int]]:
    """Usable objects, boxes still in the written frame, and their indices by id."""
    nodes: list[Node] = []
    index: dict[str, int] = {}
    for place, item in enumerate(items if isinstance(items, list) else []):
        written_id = _name(item.get("id")) if isinstance(item, dict) else None
        if written_id is None or not name_of_id(written_id):
            problems.append(Problem(ErrorKind.bad_object, f"objects[{place}]"))
            continue
        box = _box(item.get("bbox"))
        key = written_id.lower()
        if box is None:
            problems.append(Problem(ErrorKind.bad_box, written_id))
        elif box[2] <= box[0] or box[3] <= box[1]:
            problems.append(Problem(ErrorKind.degenerate_box, written_id))
        elif key in index:
            problems.append(Problem(ErrorKind.duplicate_id, written_id))
        else:
            name = name_of_id(written_id)
            if spec.vocabulary is not None and not spec.vocabulary.knows_object(name):
                problems.append(Problem(ErrorKind.unknown_class, written_id))
            index[key] = len(nodes)
            nodes.append(Node(name, box))
    return nodes, index


def _read_relations(
    items: Any, index: dict[str, int], spec: GraphSpec, problems: list[Problem]
) -> list[Edge]:
    edges: list[Edge] = []
    for place, item in enumerate(items if isinstance(items, list) else []):
        row = item if isinstance(item, dict) else {}
        subject, predicate, obj = (_name(row.get(k)) for k in ("subject", "predicate", "object"))
        if subject is None or predicate is None or obj is None:
            problems.append(Problem(ErrorKind.bad_relation, f"relationships[{place}]"))
        elif subject.lower() not in index or obj.lower() not in index:
            label = f"{subject} {predicate} {obj}"
            problems.append(Problem(ErrorKind.dangling_relation, label))
        else:
            if spec.vocabulary is not None and not spec.vocabulary.knows_predicate(predicate):
                problems.append(Problem(ErrorKind.unknown_predicate, predicate))
            edges.append(Edge(index[subject.lower()], predicate, index[obj.lower()]))
    return edges


def _name(value: Any) -> str | None:
    """A usable name: text, trimmed, not empty, not overlong, free of lone surrogates."""
    if not isinstance(value, str) or len(value) > MAX_NAME:
        return None
    return value.encode("utf-8", "replace").decode("utf-8").strip() or None


def _box(value: Any) -> tuple[float, float, float, float] | None:
    """Four finite numbers (numbers written as text count), or None."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    try:
        if any(isinstance(v, bool) or "_" in str(v) for v in value):  # float() reads "1_0" as 10
            return None
        numbers = np.array([float(v) for v in value])
    except (TypeError, ValueError, OverflowError):
        return None
    if not (np.abs(numbers) <= MAX_COORDINATE).all():  # also false for NaN
        return None
    x1, y1, x2, y2 = numbers.tolist()
    return x1, y1, x2, y2
