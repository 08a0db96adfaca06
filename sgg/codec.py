"""The hinge between graphs and text: `render` writes a graph, `parse` reads an answer.

One `GraphSpec` drives the prompt, the SFT target and the parser, so training and scoring cannot
drift apart. `parse(render(g))` is `g` up to one rounding step of the frame. Bad text is data:
`parse` never raises, costs time linear in the text (cut at MAX_CHARS), keeps every whole item and
says what was wrong by kind and by item. It refuses to guess: a box is never invented or repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any

from sgg.boxes import FrameSpec
from sgg.graph import Box, Edge, Node, SceneGraph, Triplet, name_of_id, to_dict
from sgg.lenient_json import read_json
from sgg.vocab import Vocabulary

MAX_CHARS = 1 << 20
"""Text past this many characters is not read, and the answer counts as truncated."""
MAX_NAME = 128
"""Characters of a name or id; a longer one is no name."""
MAX_COORDINATE = 1e7
MAX_CANDIDATES = 4
"""Places in the text at which a graph is looked for."""
MAX_ITEMS = 4096
"""Objects, and relations, that are read; the rest of a longer list is one bad item."""


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
    loose: tuple[Triplet, ...] = ()
    """Relations whose ends no usable object declares, by the names in their ids."""

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
    frame_w, frame_h = spec.frame.size(width, height)
    scale = (width / frame_w, height / frame_h)
    nodes, index = _read_objects(document.get("objects"), spec, scale, problems)
    if not nodes:
        problems.append(Problem(ErrorKind.empty))
    edges, loose = _read_relations(document.get("relationships"), index, spec, problems)
    graph = SceneGraph(tuple(nodes), tuple(edges))
    return Parsed(graph, tuple(problems), tags_as_asked, tuple(loose))


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


_DECODER = json.JSONDecoder(strict=False)
_FLOAT_DECODER = json.JSONDecoder(parse_int=float, strict=False)
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
        document, end, syntax = _read_document(body, found.start())
        if isinstance(document, dict) and ("objects" in document or "relationships" in document):
            return document, syntax
        position = max(end, found.start() + 1)
    return None, []


def _read_document(body: str, start: int) -> tuple[Any, int, list[ErrorKind]]:
    """(document, where it ends, problems of the whole), by the standard reader where it can."""
    try:
        return *_DECODER.raw_decode(body, start), []
    except (json.JSONDecodeError, RecursionError):
        pass
    except ValueError:  # a whole number too long for int()
        with suppress(ValueError):
            return *_FLOAT_DECODER.raw_decode(body, start), []
    document, end, met = read_json(body, start)
    # the lenient reader takes `.5` and wrong escapes: no item is lost, but it is no JSON
    return document, end, [ErrorKind[kind.name] for kind in met] or [ErrorKind.malformed]


_new = tuple.__new__
"""Makes a named tuple in half the time of its own constructor; thousands are made per second."""


def _read_objects(
    items: Any, spec: GraphSpec, scale: tuple[float, float], problems: list[Problem]
) -> tuple[list[Node], dict[str, int]]:
    """Usable objects, boxes in original pixels, and their indices by id in lower case."""
    nodes: list[Node] = []
    index: dict[str, int] = {}
    scale_x, scale_y = scale
    vocabulary = spec.vocabulary
    for place, item in enumerate(_first(items, "objects", ErrorKind.bad_object, problems)):
        try:
            text, key, name = _read_id(item["id"])
        except (TypeError, KeyError, ValueError):
            name = ""
        if not name:
            problems.append(Problem(ErrorKind.bad_object, f"objects[{place}]"))
            continue
        box = _box(item.get("bbox"))
        if box is None:
            problems.append(Problem(ErrorKind.bad_box, text))
            continue
        x1, y1, x2, y2 = box
        if x2 <= x1 or y2 <= y1:
            problems.append(Problem(ErrorKind.degenerate_box, text))
        elif key in index:
            problems.append(Problem(ErrorKind.duplicate_id, text))
        else:
            if vocabulary is not None and not vocabulary.knows_object(name):
                problems.append(Problem(ErrorKind.unknown_class, text))
            index[key] = len(nodes)
            scaled = (x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)
            nodes.append(_new(Node, (name, scaled)))
    return nodes, index


def _read_relations(
    items: Any, index: dict[str, int], spec: GraphSpec, problems: list[Problem]
) -> tuple[list[Edge], list[Triplet]]:
    """Relations between usable objects, and the names of those that dangle."""
    edges: list[Edge] = []
    loose: list[Triplet] = []
    vocabulary, kind = spec.vocabulary, ErrorKind.bad_relation
    for place, item in enumerate(_first(items, "relationships", kind, problems)):
        try:
            subject, subject_key, subject_name = _read_id(item["subject"])
            predicate, _, _ = _read_id(item["predicate"])
            obj, object_key, object_name = _read_id(item["object"])
        except (TypeError, KeyError, ValueError):
            problems.append(Problem(kind, f"relationships[{place}]"))
            continue
        start, end = index.get(subject_key), index.get(object_key)
        if start is None or end is None:
            problems.append(Problem(ErrorKind.dangling_relation, f"{subject} {predicate} {obj}"))
            loose.append((subject_name, predicate, object_name))
            continue
        if vocabulary is not None and not vocabulary.knows_predicate(predicate):
            problems.append(Problem(ErrorKind.unknown_predicate, predicate))
        edges.append(_new(Edge, (start, predicate, end)))
    return edges, loose


def _first(items: Any, key: str, kind: ErrorKind, problems: list[Problem]) -> Iterable[Any]:
    """The items of a list, up to MAX_ITEMS of them."""
    if not isinstance(items, list):
        return ()
    if len(items) <= MAX_ITEMS:
        return items
    problems.append(Problem(kind, f"{key}[{MAX_ITEMS}:]"))
    return islice(items, MAX_ITEMS)


@lru_cache(maxsize=1 << 16)
def _read_id(value: Any) -> tuple[str, str, str]:
    """An id, or a predicate: (trimmed text, the key by which ids are compared, the class name in it).

    Raises:
        TypeError, ValueError: no text, an empty or an overlong one; nothing is remembered then.

    """
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError("no usable name")
    text = value.encode("utf-8", "replace").decode("utf-8").strip()
    if not text:
        raise ValueError("no usable name")
    return text, text.lower(), name_of_id(text)


_NUMBERS = frozenset({int, float})


def _box(value: Any) -> Box | None:
    """Four finite numbers (numbers written as text count), or None."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    x1, y1, x2, y2 = value
    if not _NUMBERS.issuperset(map(type, value)):
        try:
            x1, y1, x2, y2 = map(_number, value)
        except (TypeError, ValueError, OverflowError):
            return None
    low, high = -MAX_COORDINATE, MAX_COORDINATE  # the comparisons are also false for NaN
    if low <= x1 <= high and low <= y1 <= high and low <= x2 <= high and low <= y2 <= high:
        return x1, y1, x2, y2
    return None


def _number(value: Any) -> float:
    if isinstance(value, bool) or "_" in str(value):  # float() reads "1_0" as 10
        raise ValueError(f"{value!r} is no number")
    return float(value)
