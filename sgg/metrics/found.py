"""Which gold relations of a split were found: what two runs are compared by, image by image.

Input: a `Tally` of the whole split. Output: one entry a gold relation, in the order of the split and of each
image's gold. A relation counts as found as it does in recall without a cutoff (`metrics.recall`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sgg.metrics.hits import NEVER
from sgg.metrics.recall import Floats, Ints, sums
from sgg.metrics.tally import Tally


@dataclass(frozen=True)
class Found:
    """The gold relations of a split, and which of them one run's completions find."""

    image_ids: list[str]
    """Of the split, in its order."""
    image: Ints
    """Index of each relation's image, shape (relations,), ascending."""
    predicates: list[str]
    """Canonical predicate of each relation."""
    share: Floats
    """Share of the image's completions that find the relation, shape (relations,)."""
    failed: Floats
    """Share of each image's completions that failed as a whole, shape (images,); a missing one did."""

    def by_predicate(self) -> dict[str, tuple[int, float]]:
        """Gold relations of each predicate, and how many are found: means over an image's completions."""
        names, column = np.unique(np.array(self.predicates, dtype=str), return_inverse=True)
        gold = np.bincount(column, minlength=len(names)).tolist()
        found = sums(column, self.share, len(names)).tolist()
        return {str(name): (gold[i], found[i]) for i, name in enumerate(names)}


def found_relations(tally: Tally, image_ids: Sequence[str]) -> Found:
    """Gold relations of the split that a tally is of; an image's completions share its gold."""
    images = len(image_ids)
    rows = np.bincount(tally.image, minlength=images)
    gold = np.bincount(tally.owner, minlength=len(tally.image))
    first = np.unique(tally.image, return_index=True)[1]
    start = np.cumsum([0, *gold[first]])[:-1]
    begin = np.cumsum([0, *gold])[:-1]
    within = np.arange(len(tally.owner)) - begin[tally.owner]
    place = start[tally.image[tally.owner]] + within
    image = np.repeat(np.arange(images), gold[first])
    hits = sums(place, tally.ranks["sgdet"] < NEVER, len(image))
    predicate = np.empty(len(image), dtype=np.int64)
    predicate[place] = tally.predicate
    return Found(
        list(image_ids),
        image,
        [tally.names[i] for i in predicate],
        hits / rows[image],
        sums(tally.image, tally.failed, images) / rows,
    )
