"""How well each similarity tells synonyms from opposites: `python bench/similarity.py [--write]`.

Prints the similarity of pairs that mean the same, of opposites and of unrelated names, and each kind's
share of (same, other) pairs of pairs that it puts in the right order. Kinds whose model is not installed
are left out, with a message. `--write` puts the table into docs/rewards.md between its two marks.
"""

from __future__ import annotations

import argparse

from page import put

from sgg.config.reward import NameSimilarity, SimilarityKind
from sgg.errors import SggError
from sgg.scene.embeddings import check
from sgg.scene.similarity import similarity

MARK = "<!-- similarity -->"
SAME = [
    *(("man", "person"), ("woman", "lady"), ("bike", "bicycle"), ("kid", "child")),
    *(("plane", "airplane"), ("wears", "wearing"), ("in front of", "before"), ("near", "beside")),
    *(("on", "on top of"), ("above", "over"), ("under", "below"), ("couch", "sofa")),
]
OPPOSITE = [
    *(("above", "below"), ("over", "under"), ("left of", "right of"), ("in front of", "behind")),
    *(("inside", "around"), ("man", "woman"), ("boy", "girl"), ("entering", "exiting")),
]
UNRELATED = [
    *(("man", "dog"), ("pizza", "window"), ("riding", "made of"), ("tree", "phone")),
    *(("eating", "parked on"), ("giraffe", "laptop"), ("person", "table"), ("on", "eating")),
]


def table(model: str | None) -> str:
    kinds = []
    for kind in SimilarityKind:
        how = NameSimilarity(kind, model=model if kind is SimilarityKind.embedding else None)
        try:
            check(how)
            kinds.append(how)
        except SggError as error:
            print(f"left out: {error}")
    lines = [
        "| pair | " + " | ".join(how.kind.name for how in kinds) + " |",
        "|---|" + "---|" * len(kinds),
    ]

    def values(pairs: list[tuple[str, str]], how: NameSimilarity) -> list[float]:
        return [float(similarity(how, [a], [b])[0, 0]) for a, b in pairs]

    for title, pairs in (("same", SAME), ("opposite", OPPOSITE), ("unrelated", UNRELATED)):
        columns = [values(pairs, how) for how in kinds]
        for i, (a, b) in enumerate(pairs):
            lines.append(
                f"| {title}: {a} / {b} | " + " | ".join(f"{c[i]:.2f}" for c in columns) + " |"
            )
    for title, others in (("opposite", OPPOSITE), ("unrelated", UNRELATED)):
        shares = []
        for how in kinds:
            won = [
                1.0 if s > o else 0.5 if s == o else 0.0
                for s in values(SAME, how)
                for o in values(others, how)
            ]
            shares.append(f"**{sum(won) / len(won):.2f}**")
        lines.append(f"| same above {title} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder with all-MiniLM-L6-v2")
    parser.add_argument("--write", action="store_true", help="put the table into docs/rewards.md")
    args = parser.parse_args()
    made = table(args.model)
    print(made)
    if args.write:
        put(MARK, made)


if __name__ == "__main__":
    main()
