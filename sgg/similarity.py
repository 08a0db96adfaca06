"""How alike two names are, from 0 to 1: by spelling, or by a fixed table of embeddings.

The table holds the cosines of all pairs of names in the package's vocabularies, made once by
`sgg.similarity_table` from all-MiniLM-L6-v2 and shipped with a version, so that a reward means the
same on every machine and in every year. Cosines below 0 count as 0. A name outside the table is like
itself alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sgg.options import SimilarityKind
from sgg.vocab import canonical

TABLE_NAME = "similarity-minilm-v1.npz"


def similarity(kind: SimilarityKind, a: Sequence[str], b: Sequence[str]) -> NDArray[np.float64]:
    """Similarity of every pair, shape (len(a), len(b)), symmetric, 1 for equal canonical names."""
    left, right = [canonical(n) for n in a], [canonical(n) for n in b]
    ids = {name: i for i, name in enumerate(dict.fromkeys([*left, *right]))}
    left_ids = np.array([ids[n] for n in left], dtype=np.int64)
    right_ids = np.array([ids[n] for n in right], dtype=np.int64)
    equal = (left_ids[:, None] == right_ids[None, :]).astype(np.float64)
    if kind is SimilarityKind.exact:
        return equal
    rows, values = table()
    left_rows = np.array([rows.get(n, -1) for n in left], dtype=np.int64)
    right_rows = np.array([rows.get(n, -1) for n in right], dtype=np.int64)
    known = (left_rows >= 0)[:, None] & (right_rows >= 0)[None, :]
    looked_up = values[np.ix_(left_rows, right_rows)]
    return np.where(known, np.maximum(looked_up, equal), equal)


@lru_cache(maxsize=1)
def table() -> tuple[dict[str, int], NDArray[np.float64]]:
    """The shipped table: row of each canonical name, and the clamped cosines in steps of 1/255."""
    with (files("sgg") / "assets" / TABLE_NAME).open("rb") as file:
        content = np.load(file, allow_pickle=False)
        names, values = content["names"].tolist(), content["values"]
    return {name: i for i, name in enumerate(names)}, values.astype(np.float64) / 255.0
