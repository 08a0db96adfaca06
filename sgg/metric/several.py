"""What several answers to one image find together: pass@k, union@k, best-of-k.

pass@k = 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374, 2504.13837): the probability that k of an image's n
answers, drawn without return, hold one that hits a gold relation which c of the n hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


def pass_at_k(found: Flags, k: int) -> float:
    """Mean over gold relations; `found` of shape (answers, gold), 1 ≤ k ≤ answers.

    >>> pass_at_k(np.array([[True], [False], [False], [False]]), 2)
    0.5
    """
    answers = len(found)
    misses = (answers - found.sum(axis=0)).tolist()
    return float(np.mean([1 - comb(m, k) / comb(answers, k) for m in misses]))


def union_at_k(found: Flags, k: int) -> float:
    """Share of gold relations that any of the first k answers hits."""
    return float(found[:k].any(axis=0).mean())


def best_of_k(found: Flags, k: int) -> float:
    """Expected recall of the best of k answers drawn without return: an oracle's choice.

    With recalls sorted up, the i-th (from 1) is the best of k in C(i - 1, k - 1) of C(n, k) draws.
    """
    recalls = np.sort(found.mean(axis=1)).tolist()
    total = comb(len(recalls), k)
    return sum(r * comb(i, k - 1) for i, r in enumerate(recalls)) / total


def over_images(images: Sequence[Flags]) -> dict[str, float]:
    """Means over images with gold relations for k = 1, 2, 4, … up to the fewest answers of an image."""
    usable = [found for found in images if found.shape[1]]
    most = min((len(found) for found in images), default=0)
    if most < 2 or not usable:
        return {}
    powers = [1 << i for i in range(most.bit_length()) if 1 << i <= most]
    ks = sorted({*powers, most})
    measures = {"pass": pass_at_k, "union": union_at_k, "best_of": best_of_k}
    return {
        f"{name}@{k}": float(np.mean([measure(found, k) for found in usable]))
        for name, measure in measures.items()
        for k in ks
    }
