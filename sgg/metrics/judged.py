"""Which relations of one prediction hit and which gold ones are found, by the rule that the metrics count by.

For whoever shows a prediction to people: the gallery marks what a protocol counts, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgg.config.protocol import Labels, Mode, Unknown
from sgg.metrics import hits
from sgg.metrics.arrays import Ints, Names, to_arrays
from sgg.metrics.hits import Flags, Overlap
from sgg.metrics.synonyms import NO_RENAMES, renamed
from sgg.metrics.tally import Task
from sgg.scene.graph import Edge, SceneGraph
from sgg.scene.vocab import canonical


@dataclass(frozen=True, slots=True)
class Judged:
    """One prediction under the rule of a protocol; relations that the protocol drops are in no array."""

    kept: list[int]
    """Indices of the predicted relations that it does not drop, shape (kept,)."""
    overlap: Overlap
    """Of the kept relations with gold."""
    pairs: Flags
    """Whether the ends of a kept relation fit those of a gold one, shape (kept, gold)."""
    ranks: Ints
    """Rank of each kept relation; `hits.NEVER` for one that is not counted."""

    @property
    def hits(self) -> Flags:
        """Which kept relation hits which gold one, shape (kept, gold)."""
        found = self.overlap.hits(self.pairs)
        found[self.ranks == hits.NEVER] = False
        return found


def judge(pred: SceneGraph, gold: SceneGraph, task: Task) -> Judged:
    """Judge one prediction, without a cutoff.

    A relation that the protocol does not rank (a pair's second predicate, a repeated one, a name outside
    the vocabulary that is dropped) hits nothing.
    """
    protocol, vocabulary = task.protocol, task.vocabulary
    table = NO_RENAMES
    if vocabulary is not None and protocol.labels is Labels.mapped:
        table = renamed(pred, vocabulary, task.synonyms)

    def known(edge: Edge) -> bool:
        if vocabulary is None or protocol.unknown is not Unknown.drop:
            return True
        ends = (pred.nodes[edge.subject].name, pred.nodes[edge.object].name)
        return all(vocabulary.knows_object(n) or canonical(n) in table.objects for n in ends) and (
            vocabulary.knows_predicate(edge.predicate)
            or canonical(edge.predicate) in table.predicates
        )

    kept = [i for i, edge in enumerate(pred.edges) if known(edge)]
    names = Names()
    read = replace(pred, edges=tuple(pred.edges[i] for i in kept))
    said, target = to_arrays(read, names, table or None), to_arrays(gold, names)
    overlap = Overlap(said, target, protocol)
    ranks = hits.rank(said, protocol).constrained
    return Judged(kept, overlap, overlap.pair_hits(Mode.sgdet), ranks)


def judged(pred: SceneGraph, gold: SceneGraph, task: Task) -> tuple[list[bool], list[bool]]:
    """(found, right): of each gold relation and of each predicted one, as `judge` finds."""
    verdict = judge(pred, gold, task)
    hit = verdict.hits
    right = [False] * len(pred.edges)
    for i, row in zip(verdict.kept, hit, strict=True):
        right[i] = bool(row.any())
    return [bool(column.any()) for column in hit.T], right


def judged_objects(pred: SceneGraph, gold: SceneGraph, task: Task) -> tuple[list[bool], list[bool]]:
    """(found, right): of each gold object and of each predicted one, by label and overlap."""
    same = judge(pred, gold, task).overlap.objects()
    return [bool(column.any()) for column in same.T], [bool(row.any()) for row in same]
