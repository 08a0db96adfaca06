"""Makes spacy_vectors.npz, so that golden tests need no spaCy: `python tests/golden/make_spacy_vectors.py`.

Needs the extra `spacy`: en_core_web_sm 3.8.0, the reference's word model. Holds the unit vector of every
name and predicate in the golden batch.
"""

from pathlib import Path

import numpy as np
from test_rewards_reference import ROWS, SPEC, gold_of

from sgg.scene.embeddings import _spacy_vectors
from sgg.scene.vocab import canonical
from sgg.text.codec import parse


def names():
    """Every canonical name that is compared in the batch."""
    graphs = [gold_of(row) for row in ROWS]
    graphs += [parse(row["completion"], SPEC, *row["box_scale"]).graph for row in ROWS]
    words = {n.name for g in graphs for n in g.nodes} | {
        e.predicate for g in graphs for e in g.edges
    }
    return sorted({canonical(word) for word in words})


if __name__ == "__main__":
    found = names()
    path = Path(__file__).parent / "spacy_vectors.npz"
    np.savez_compressed(path, names=np.array(found), vectors=_spacy_vectors(found))
    print(f"{len(found)} names -> {path} ({path.stat().st_size} bytes)")
