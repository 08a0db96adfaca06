"""What is kept of each completion: small columns, so that graphs need not be held.

Input: completions and gold, one image at a time. Output: a `Tally`, which tallies of other images can
be joined to, in any number of processes. Sums and means are `metrics.recall`'s business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgg.config.protocol import Labels, Mode, ProtocolConfig, Unknown
from sgg.metrics import hits
from sgg.metrics.arrays import GraphArrays, Ints, Names, to_arrays
from sgg.metrics.detection import Detections, match_boxes
from sgg.metrics.synonyms import NO_RENAMES, NameMap, renamed
from sgg.scene.graph import Edge, SceneGraph, Triplet
from sgg.scene.vocab import Vocabulary, canonical
from sgg.text.codec import Parsed

COMPLETION_COLUMNS = (
    "predicted",
    "correct",
    "repeated",
    "objects",
    "objects_found",
    "said",
    "said_right",
)
"""Relations written, those that hit, those stated before; gold objects, those found; predicted objects,
those that are some gold object."""

_OF_RELATIONS = ("owner", "predicate", "unseen")


@dataclass(frozen=True)
class Task:
    """What every completion is scored by."""

    protocol: ProtocolConfig
    vocabulary: Vocabulary | None = None
    unseen: frozenset[Triplet] | None = None
    """Canonical triplets that training did not show; None where that is not known."""
    synonyms: Mapping[str, str] | None = None
    """Canonical name -> name of the vocabulary, for the mapped score; None for the shipped table."""


@dataclass
class Tally:
    """Columns of completions and of their gold relations."""

    image: Ints
    """Index of each completion's image in the split, shape (completions,)."""
    has_prediction: NDArray[np.bool_]
    """Whether any relation was predicted, or the completion failed as a whole."""
    failed: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    """Whether there was no completion at all."""
    counts: Ints
    """`COMPLETION_COLUMNS`, then correct and ranked within each cutoff, shape (completions, columns)."""
    owner: Ints
    """Row of the completion that each gold relation belongs to, shape (relations,)."""
    predicate: Ints
    """Name id of its predicate."""
    unseen: NDArray[np.bool_]
    """Whether training did not show it."""
    ranks: dict[str, NDArray[np.int32]]
    """First rank at which it is hit, by what was ranked: `sgdet`, `sgdet ng`, …; `hits.NEVER`."""
    detections: Detections
    said: Counter[int]
    """Predicted relations by predicate."""
    right: Counter[int]
    """Those that hit."""
    problems_completions: Counter[str]
    problems_items: Counter[str]
    names: list[str]
    """Canonical names by id."""


class Builder:
    """Tallies completions one by one."""

    def __init__(self, task: Task, first: bool) -> None:
        """`first`: whether the split's very first gold box is among those to come."""
        self._task, self._first = task, first
        self._names = Names()
        protocol, vocabulary = task.protocol, task.vocabulary
        self._predicates = (
            [self._names.id(p) for p in vocabulary.predicates] if vocabulary is not None else []
        )
        self._columns: dict[str, list[Any]] = {
            k: []
            for k in ("image", "has_prediction", "failed", "missing", "counts", *_OF_RELATIONS)
        }
        modes = [m.name for m in protocol.modes]
        self._ranked = [*modes, *(f"{m} ng" for m in modes), "deduplicated", "mapped"]
        self._ranks: dict[str, list[Any]] = {name: [] for name in self._ranked}
        self._boxes: list[tuple[int, GraphArrays, GraphArrays, bool]] = []
        self._said: Counter[int] = Counter()
        self._right: Counter[int] = Counter()
        self._problems: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def add(self, image: int, parsed: Parsed | None, gold: SceneGraph) -> None:
        """Count one completion (None if there is none) for one image."""
        row, columns = len(self._columns["image"]), self._columns
        kinds = ["no_completion"] if parsed is None else [p.kind.value for p in parsed.problems]
        self._problems[0].update(set(kinds))
        self._problems[1].update(kinds)
        strict, mapped = self._read(parsed.graph if parsed is not None else SceneGraph())
        target = to_arrays(gold, self._names)
        protocol = self._task.protocol
        failed = parsed is None or parsed.failure is not None
        said = (
            failed and parsed is not None
        )  # there is a completion, but nothing can be read from it
        if not protocol.coco_skips_empty or said or len(strict.labels):
            self._boxes.append((row, strict, target, self._first))
        self._first = self._first and not len(target.labels)
        ranking, overlap = hits.rank(strict, protocol), hits.Overlap(strict, target, protocol)
        pairs = overlap.pair_hits(Mode.sgdet)
        right = overlap.hits(pairs)
        ranks = self._mode_ranks(overlap, ranking, pairs)
        ranks["deduplicated"] = hits.first_hits(right, ranking.deduplicated)
        if mapped is strict:
            ranks["mapped"] = hits.first_hits(right, ranking.constrained)
        else:
            other = hits.Overlap(mapped, target, protocol)
            found = other.hits(other.pair_hits(Mode.sgdet))
            ranks["mapped"] = hits.first_hits(found, hits.rank(mapped, protocol).constrained)
        for name in self._ranked:
            self._ranks[name].append(ranks[name].astype(np.int32))
        columns["image"].append(image)
        columns["has_prediction"].append(said or bool(len(strict.predicates)))
        columns["failed"].append(failed)
        columns["missing"].append(parsed is None)
        columns["counts"].append(self._counts(overlap, ranking, right))
        columns["owner"].append(np.full(len(target.predicates), row))
        columns["predicate"].append(target.predicates)
        columns["unseen"].append([self._is_unseen(gold, edge) for edge in gold.edges])

    def _read(self, graph: SceneGraph) -> tuple[GraphArrays, GraphArrays]:
        """The completion as the protocol reads it, and with synonyms mapped; one object if equal."""
        task, vocabulary = self._task, self._task.vocabulary
        table = renamed(graph, vocabulary, task.synonyms) if vocabulary is not None else NO_RENAMES
        if task.protocol.unknown is Unknown.drop and vocabulary is not None:
            full, graph = _known(graph, vocabulary, table), _known(graph, vocabulary, NO_RENAMES)
        else:
            full = graph
        mapped = to_arrays(full, self._names, table) if table else None
        if task.protocol.labels is Labels.mapped and mapped is not None:
            return mapped, mapped
        strict = to_arrays(graph, self._names)
        return strict, mapped if mapped is not None else strict

    def _mode_ranks(
        self, overlap: hits.Overlap, ranking: hits.Ranking, sgdet: hits.Flags
    ) -> dict[str, Ints]:
        """First ranks in each mode, with and without graph constraint; `sgdet` its pair hits."""
        protocol = self._task.protocol
        order = np.full(len(self._names.listed), -1)
        order[self._predicates] = np.arange(len(self._predicates))
        ranks = {}
        for mode in protocol.modes:
            pairs = sgdet if mode is Mode.sgdet else overlap.pair_hits(mode)
            found = overlap.hits(pairs)
            ranks[mode.name] = hits.first_hits(found, ranking.constrained)
            ranks[f"{mode.name} ng"] = hits.ng_hits(overlap, pairs, ranking, protocol, order)
        return ranks

    def _counts(self, overlap: hits.Overlap, ranking: hits.Ranking, right: hits.Flags) -> list[int]:
        """One row of `Tally.counts`; `right` says which predicted relation hits which gold one."""
        correct = right.any(axis=1)
        predicates = overlap.pred.predicates
        self._said.update(predicates.tolist())
        self._right.update(predicates[correct].tolist())
        objects = overlap.objects()
        counts = [len(predicates), correct.sum(), ranking.repeated.sum()]
        counts += [objects.shape[1], objects.any(axis=0).sum()]
        counts += [objects.shape[0], objects.any(axis=1).sum()]
        for k in self._task.protocol.cutoffs:
            ranked = ranking.constrained < k
            counts += [(correct & ranked).sum(), ranked.sum()]
        return [int(c) for c in counts]

    def _is_unseen(self, gold: SceneGraph, edge: Edge) -> bool:
        if not self._task.unseen:
            return False
        subject, predicate, obj = gold.triplet(edge)
        return (canonical(subject), canonical(predicate), canonical(obj)) in self._task.unseen

    def tally(self) -> Tally:
        """Everything that was added: one completion at least."""
        columns = self._columns
        return Tally(
            image=np.array(columns["image"], dtype=np.int64),
            has_prediction=np.array(columns["has_prediction"], dtype=bool),
            failed=np.array(columns["failed"], dtype=bool),
            missing=np.array(columns["missing"], dtype=bool),
            counts=np.array(columns["counts"], dtype=np.int64),
            owner=_joined(columns["owner"], np.int64),
            predicate=_joined(columns["predicate"], np.int64),
            unseen=_joined(columns["unseen"], np.bool_),
            ranks={name: _joined(parts, np.int32) for name, parts in self._ranks.items()},
            detections=match_boxes(self._boxes, self._task.protocol),
            said=self._said,
            right=self._right,
            problems_completions=self._problems[0],
            problems_items=self._problems[1],
            names=self._names.listed,
        )


def join(tallies: Sequence[Tally]) -> Tally:
    """Tallies of different completions as one, in their order."""
    names = Names()
    ids = [np.array([names.id(n) for n in t.names], dtype=np.int64) for t in tallies]
    starts = np.cumsum([0, *(len(t.image) for t in tallies)])[:-1].tolist()
    each = list(zip(tallies, ids, starts, strict=True))
    gold: Counter[int] = Counter()
    said: Counter[int] = Counter()
    right: Counter[int] = Counter()
    completions: Counter[str] = Counter()
    items: Counter[str] = Counter()
    for t, i, _ in each:
        gold.update({int(i[c]): n for c, n in t.detections.gold.items()})
        said.update({int(i[c]): n for c, n in t.said.items()})
        right.update({int(i[c]): n for c, n in t.right.items()})
        completions += t.problems_completions
        items += t.problems_items
    return Tally(
        image=np.concatenate([t.image for t in tallies]),
        has_prediction=np.concatenate([t.has_prediction for t in tallies]),
        failed=np.concatenate([t.failed for t in tallies]),
        missing=np.concatenate([t.missing for t in tallies]),
        counts=np.concatenate([t.counts for t in tallies]),
        owner=np.concatenate([t.owner + start for t, _, start in each]),
        predicate=np.concatenate([i[t.predicate] for t, i, _ in each]),
        unseen=np.concatenate([t.unseen for t in tallies]),
        ranks={k: np.concatenate([t.ranks[k] for t in tallies]) for k in tallies[0].ranks},
        detections=Detections(
            np.concatenate([t.detections.owner + start for t, _, start in each]),
            np.concatenate([i[t.detections.labels] for t, i, _ in each]),
            np.concatenate([t.detections.matched for t in tallies]),
            dict(gold),
        ),
        said=said,
        right=right,
        problems_completions=completions,
        problems_items=items,
        names=names.listed,
    )


def _known(graph: SceneGraph, vocabulary: Vocabulary, table: NameMap) -> SceneGraph:
    """The part of a graph whose names, once mapped, are in the vocabulary."""
    kept = [
        i
        for i, node in enumerate(graph.nodes)
        if vocabulary.knows_object(node.name) or canonical(node.name) in table.objects
    ]
    place = {old: new for new, old in enumerate(kept)}
    edges = (
        Edge(place[e.subject], e.predicate, place[e.object])
        for e in graph.edges
        if e.subject in place
        and e.object in place
        and (vocabulary.knows_predicate(e.predicate) or canonical(e.predicate) in table.predicates)
    )
    return SceneGraph(tuple(graph.nodes[i] for i in kept), tuple(edges))


def _joined(parts: list[Any], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts).astype(kind)
