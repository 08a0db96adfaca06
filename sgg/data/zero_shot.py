"""Which triplets training did not show: what zero-shot recall is measured on.

Input: where a protocol says the list comes from. Output: canonical (subject, predicate, object)
triplets, or None where nothing is known, so that no zR is written.
"""

from __future__ import annotations

from pathlib import Path

from sgg.config.data import DataConfig
from sgg.config.protocol import ProtocolConfig
from sgg.data.prepare import open_reader, prepare, vocabulary
from sgg.data.prepared_split import Prepared
from sgg.data.sources.base import ROW_ERRORS, load_json
from sgg.errors import SggError
from sgg.scene.graph import Triplet
from sgg.scene.vocab import canonical


def unseen_triplets(
    protocol: ProtocolConfig, data: DataConfig, split: str, cache: Path, gold: Prepared
) -> frozenset[Triplet] | None:
    """The triplets of `protocol.zero_shot`.

    Raises:
        SggError: a list cannot be read, or names no vocabulary's ids.

    """
    where = protocol.zero_shot
    if where is None:
        return None
    if where == "source":
        return open_reader(data, split).zero_shot or None
    if where == "train":
        seen = _stated(prepare(data, "train", cache, quiet=True))
        return frozenset(_stated(gold) - seen)
    return _listed(Path(where).expanduser(), protocol.zero_shot_first_object, data)


def _stated(prepared: Prepared) -> set[Triplet]:
    """All canonical triplets of a split."""
    stated = set()
    for graph in prepared.graphs():
        for edge in graph.edges:
            subject, predicate, obj = graph.triplet(edge)
            stated.add((canonical(subject), canonical(predicate), canonical(obj)))
    return stated


def _listed(path: Path, first_object: int, data: DataConfig) -> frozenset[Triplet]:
    """A JSON list of [subject, object, predicate] ids; ids that the vocabulary lacks are passed over."""
    key = "protocol.zero_shot"
    names = vocabulary(data)
    if names is None:
        raise SggError(f"{key}={path}: its ids need a data.vocabulary.")
    objects = dict(enumerate(map(canonical, names.objects), first_object))
    predicates = dict(enumerate(map(canonical, names.predicates), 1))
    content = load_json(path, key)
    try:
        rows = [(int(s), int(o), int(p)) for s, o, p in content]
    except ROW_ERRORS as error:
        raise SggError(
            f"{key}={path}: no list of [subject, object, predicate] ids ({error})."
        ) from error
    return frozenset(
        (objects[s], predicates[p], objects[o])
        for s, o, p in rows
        if s in objects and o in objects and p in predicates
    )
