"""The hinge between graphs and text: `render` writes a graph, `parse` reads an answer.

One `GraphSpec` drives the prompt, the SFT target and the parser, so training and scoring cannot
drift apart. `parse(render(g))` is `g` up to one rounding step of the frame. Bad text is data:
`parse` never raises, costs time linear in the text (cut at MAX_CHARS), keeps every whole item and
says what was wrong by kind and by item. It refuses to guess: a box is never invented or repaired.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sgg.boxes import FrameSpec
from sgg.graph import SceneGraph, Triplet, to_dict
from sgg.items import read_objects, read_relations
from sgg.lenient_json import read_json
from sgg.problems import FAILURES as FAILURES
from sgg.problems import ErrorKind as ErrorKind
from sgg.problems import Problem as Problem
from sgg.sound import read_sound
from sgg.vocab import Vocabulary

MAX_CHARS = 1 << 20
"""Text past this many characters is not read, and the answer counts as truncated."""
MAX_CANDIDATES = 4
"""Places in the text at which a graph is looked for."""


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
    frame_w, frame_h = spec.frame.size(width, height)
    scale = (width / frame_w, height / frame_h)
    if len(text) <= MAX_CHARS:
        sound = read_sound(body, spec.vocabulary, scale)
        if sound is not None:
            return Parsed(sound, (), tags_as_asked)
    document, syntax = _find_graph(body)
    if document is None:
        return Parsed(SceneGraph(), (Problem(ErrorKind.no_json),), tags_as_asked)
    problems = [Problem(kind) for kind in syntax]
    for key in ("objects", "relationships"):
        if not FAILURES.intersection(syntax) and not isinstance(document.get(key), list):
            problems.append(Problem(ErrorKind.missing_list, key))
    if len(text) > MAX_CHARS and not closed and ErrorKind.truncated not in syntax:
        problems.append(Problem(ErrorKind.truncated))
    vocabulary = spec.vocabulary
    nodes, index = read_objects(document.get("objects"), vocabulary, scale, problems)
    if not nodes:
        problems.append(Problem(ErrorKind.empty))
    edges, loose = read_relations(document.get("relationships"), index, vocabulary, problems)
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
