"""What several completions for one image find together: pass@k, union@k, best-of-k.

pass@k = 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374, 2504.13837): the probability that k of an image's n
completions, drawn without return, hold one that hits a gold relation which c of the n hit.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def pass_at_k(found: Flags, k: int) -> float:
    """Mean over gold relations; `found` of shape (completions, gold), 1 ≤ k ≤ completions.

    >>> pass_at_k(np.array([[True], [False], [False], [False]]), 2)
    0.5
    """
    completions = len(found)
    misses = (completions - found.sum(axis=0)).tolist()
    return float(np.mean([1 - comb(m, k) / comb(completions, k) for m in misses]))


def union_at_k(found: Flags, k: int) -> float:
    """Share of gold relations that any of the first k completions hits."""
    return float(found[:k].any(axis=0).mean())


def best_of_k(found: Flags, k: int) -> float:
    """Expected recall of the best of k completions drawn without return: an oracle's choice.

    With recalls sorted up, the i-th (from 1) is the best of k in C(i - 1, k - 1) of C(n, k) draws.
    """
    recalls = np.sort(found.mean(axis=1)).tolist()
    total = comb(len(recalls), k)
    return sum(r * comb(i, k - 1) for i, r in enumerate(recalls)) / total


def by_image(found: Mapping[int, Flags], images: int) -> dict[str, tuple[Floats, Floats]]:
    """Each measure of each image, and 1 where it counts: where gold has relations.

    For k = 1, 2, 4, … up to the fewest completions of an image; nothing below two.

    Args:
        found: by image, what each of its completions hits, shape (completions, gold).
        images: of the split.

    Returns:
        By name two columns of shape (images, 1).

    """
    usable = [image for image, hits in found.items() if hits.shape[1]]
    if not usable or (most := min(map(len, found.values()))) < 2:
        return {}
    powers = [1 << i for i in range(most.bit_length())]
    counts = np.zeros((images, 1))
    counts[usable] = 1
    measures = {"pass": pass_at_k, "union": union_at_k, "best_of": best_of_k}
    columns = {}
    for name, measure in measures.items():
        for k in sorted({*powers, most}):
            values = np.zeros((images, 1))
            values[usable] = [[measure(found[image], k)] for image in usable]
            columns[f"{name}@{k}"] = values, counts
    return columns
