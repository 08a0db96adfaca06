"""The hinge between graphs and text: `render` writes a graph, `parse` reads a completion.

One `GraphSpec` drives the prompt, the SFT target and the parser, so training and scoring cannot
drift apart. `parse(render(g))` is `g` up to one rounding step of the frame. Bad text is data:
`parse` never raises, costs time linear in the text (cut at MAX_CHARS), keeps every whole item and
says what was wrong by kind and by item. It refuses to guess: a box is never invented or repaired.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import SceneGraph, Triplet, to_dict
from sgg.scene.vocab import Vocabulary
from sgg.text.documents import Document, find_documents
from sgg.text.passages import find_passages
from sgg.text.problems import FAILURES as FAILURES
from sgg.text.problems import ErrorKind as ErrorKind
from sgg.text.problems import Problem as Problem
from sgg.text.strict_parser import parse_strict
from sgg.text.tolerant_parser import View, read_objects, read_relations

MAX_CHARS = 1 << 20
"""Text past this many characters is not read, and the completion counts as truncated."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How graphs are written for one model and prompt."""

    frame: FrameSpec
    reasoning: bool = False
    """Whether the completion is written as <think>…</think><answer>…</answer>."""
    vocabulary: Vocabulary | None = None
    """Closed vocabulary of the prompt; None where any name is allowed."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a completion says. The graph is in original pixels and may be empty."""

    graph: SceneGraph
    problems: tuple[Problem, ...] = ()
    tags_as_asked: bool = True
    """Whether closed think and answer tags are there, if the spec wants them."""
    loose: tuple[Triplet, ...] = ()
    """Relations whose ends no usable object declares, by the names in their ids."""

    @property
    def failure(self) -> ErrorKind | None:
        """The first kind that makes the completion a failure as a whole, if any."""
        return next((p.kind for p in self.problems if p.kind in FAILURES), None)

    @property
    def summary(self) -> str:
        """How much was read, and what was wrong with the text, on one line."""
        kinds = Counter(problem.kind.value for problem in self.problems)
        problems = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        read = f"{len(self.graph.nodes)} objects, {len(self.graph.edges)} relations"
        return f"{read}; problems of the text: {problems}" if problems else read


def render(graph: SceneGraph, spec: GraphSpec, width: int, height: int) -> str:
    """The graph as the model is to write it: compact JSON, boxes in the spec's frame.

    `graph` is in pixels of the original image of `width` × `height`. With `spec.reasoning` the JSON
    is in answer tags after an empty thought: gold has no thoughts, and a target without the tags
    would teach SFT a form that GRPO's format term then punishes.
    """
    framed = graph.with_boxes(spec.frame.encode(graph.boxes_xyxy, width, height))
    text = json.dumps(to_dict(framed), separators=(",", ":"), ensure_ascii=False)
    return f"<think></think><answer>{text}</answer>" if spec.reasoning else text


def parse(text: str, spec: GraphSpec, width: int, height: int) -> Parsed:
    """Read a completion for an image of `width` × `height` pixels; see the module's promises.

    Whatever the spec says, think and answer tags, code fences, prose and other JSON around the graph are
    accepted, numbers may be strings, and a single trailing comma is noted and forgiven. Of several graphs
    the last whole one is read. docs/rewards.md lists what is read and what is named.
    """
    body = text[:MAX_CHARS]
    frame = spec.frame.size(width, height)
    view = View(spec.vocabulary, frame, (width / frame[0], height / frame[1]))
    layout = find_passages(body, spec.reasoning)
    first = layout.passages[0]
    if len(first) == 1 and len(text) <= MAX_CHARS:
        (passage,) = first
        sound = parse_strict(body[passage.start : passage.end], view)
        if sound is not None:
            tagged = layout.thought and passage.tagged
            return Parsed(sound, (), tagged or not spec.reasoning)
    for passages in layout.passages:
        documents = find_documents(body[p.start : p.end] for p in passages)
        if documents:
            found = [(document, passages[place].tagged) for place, document in documents]
            graph, problems, loose, tagged = _read(found, view, len(text) > MAX_CHARS)
            break
    else:
        graph, loose = SceneGraph(), []
        problems = [Problem(ErrorKind.truncated, "<think>")] if layout.cut else []
        problems.append(Problem(ErrorKind.no_json))
        tagged = any(passage.tagged for passage in first)
    as_asked = (layout.thought and tagged) or not spec.reasoning
    return Parsed(graph, tuple(problems), as_asked, tuple(loose))


def _read(
    found: list[tuple[Document, bool]], view: View, cut: bool
) -> tuple[SceneGraph, list[Problem], list[Triplet], bool]:
    """(graph, problems, loose relations, whether between tags) of documents and whether tags hold them."""
    if len(found) == 1:
        ((objects, tagged),) = found
        relations = objects
        kinds = list(objects.syntax)
    else:
        documents = [document for document, _ in found]
        chosen = _choose(documents, view)
        objects, tagged = found[chosen]
        relations = _holding_relations(documents, chosen)
        lost = (kind for document in documents[chosen:] for kind in document.lost)
        kinds = [*objects.syntax, *relations.syntax, *lost, ErrorKind.several_graphs]
    if cut and not tagged:
        kinds.append(ErrorKind.truncated)
    problems = [Problem(kind) for kind in dict.fromkeys(kinds)]
    lists = []
    for key, part in (("objects", objects), ("relationships", relations)):
        lists.append(part.list(key))
        if lists[-1] is None and part.whole:
            problems.append(Problem(ErrorKind.missing_list, key))
        if part.repeats(key):
            problems.append(Problem(ErrorKind.duplicate_key, key))
    nodes, index = read_objects(lists[0], view, problems)
    if not nodes:
        problems.append(Problem(ErrorKind.empty))
    edges, loose = read_relations(lists[1], index, view, problems)
    return SceneGraph(tuple(nodes), tuple(edges)), problems, loose, tagged


def _choose(documents: list[Document], view: View) -> int:
    """The place of the last document with a usable object: whole ones first, before all with both lists."""

    def rank(place: int) -> tuple[bool, bool, int]:
        document = documents[place]
        return document.whole, document.whole and document.list("relationships") is not None, place

    lists = {i: items for i, d in enumerate(documents) if (items := d.list("objects"))}
    for place in sorted(lists, key=rank, reverse=True):
        nodes, _ = read_objects(lists[place], view, [])
        if nodes:
            return place
    return max(range(len(documents)), key=rank)


def _holding_relations(documents: list[Document], chosen: int) -> Document:
    """The document with a chosen one's relations: where that has none, the nearest one without objects."""
    document = documents[chosen]
    if "relationships" in document.content:
        return document
    others = (d for d in documents[chosen:] + documents[:chosen][::-1])
    return next((d for d in others if d.list("relationships") and not d.list("objects")), document)
