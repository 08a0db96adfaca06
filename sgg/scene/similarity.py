"""How alike two names are, from 0 to 1: by spelling, by a fixed table, or by a word model.

The table holds the cosines of all pairs of names in the package's vocabularies, made once by
`sgg.scene.make_similarity_table` from all-MiniLM-L6-v2 and shipped with a version, so that a reward means the
same on every machine and in every year. Cosines below 0 count as 0. A name outside the table is like
only itself, unless set otherwise. Embedding models are in `sgg.scene.embeddings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sgg.config.reward import NameSimilarity, SimilarityKind, UnknownName
from sgg.scene.vocab import canonical

TABLE_NAME = "similarity-minilm-v1.npz"

Matrix = NDArray[np.float64]


def similarity(how: NameSimilarity | SimilarityKind, a: Sequence[str], b: Sequence[str]) -> Matrix:
    """Similarity of every pair, shape (len(a), len(b)), symmetric, 1 for equal canonical names.

    `how` may be only a kind, which then stands for its defaults.
    """
    how = how if isinstance(how, NameSimilarity) else DEFAULTS[how]
    if how.kind is SimilarityKind.table:
        return _looked_up(a, b, how.unknown)
    left, right = [canonical(n) for n in a], [canonical(n) for n in b]
    if how.kind is SimilarityKind.exact:
        return _equal(left, right)
    from sgg.scene import embeddings as similarity_models

    cosines = similarity_models.cosines(how, left, right)
    return np.maximum(np.minimum(cosines, 1.0), _equal(left, right))


@lru_cache(maxsize=16)
def pair_similarity(how: NameSimilarity) -> Callable[[str, str], float]:
    """A function of two names that remembers what it was asked."""

    @lru_cache(maxsize=1 << 16)
    def of(a: str, b: str) -> float:
        return float(similarity(how, [a], [b]).item())

    return of


DEFAULTS = {kind: NameSimilarity(kind) for kind in SimilarityKind}


def _equal(left: list[str], right: list[str]) -> Matrix:
    ids = {name: i for i, name in enumerate(right)}
    left_ids = np.array([ids.get(n, -1) for n in left], dtype=np.int64)
    right_ids = np.array([ids[n] for n in right], dtype=np.int64)
    return (left_ids[:, None] == right_ids).astype(np.float64)


def _looked_up(a: Sequence[str], b: Sequence[str], unknown: UnknownName) -> Matrix:
    """Values of the table; it is symmetric, so columns may be taken as rows, which is quicker."""
    left, right = list(map(_row, a)), list(map(_row, b))
    found = _values().take(right, axis=0).take(left, axis=1).T
    if unknown is UnknownName.itself and -1 in left and -1 in right:
        strange = [i for i, row in enumerate(left) if row == -1]
        others = [i for i, row in enumerate(right) if row == -1]
        found[np.ix_(strange, others)] = _equal(
            [canonical(a[i]) for i in strange], [canonical(b[i]) for i in others]
        )
    return found


@lru_cache(maxsize=1 << 16)
def _row(name: str) -> int:
    """The name's row in the table, -1 for none."""
    return table()[0].get(canonical(name), -1)


@lru_cache(maxsize=1)
def table() -> tuple[dict[str, int], Matrix]:
    """The shipped table: row of each canonical name, and the clamped cosines in steps of 1/255."""
    with (files("sgg") / "assets" / TABLE_NAME).open("rb") as file:
        content = np.load(file)
        names, values = content["names"].tolist(), content["values"]
    return {name: i for i, name in enumerate(names)}, values.astype(np.float64) / 255.0


@lru_cache(maxsize=1)
def _values() -> Matrix:
    """The table's values; a last row and a last column of zeros stand for all other names."""
    return np.pad(table()[1], (0, 1))
