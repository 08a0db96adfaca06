"""Mutated completions through parse and every term: `python bench/fuzz_rewards.py [--count 200000]`.

Nothing may raise, every term stays in its declared range, and no text of up to 64 kB takes 50 ms of CPU.
The seeds are the golden batch; mutations cut, repeat, splice, swap and break it, and blow it up.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sgg.config.model import Frame
from sgg.config.reward import SimilarityKind
from sgg.reward.registry import TERMS
from sgg.reward.score import RewardSpec, Scorer
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import SceneGraph, from_dict
from sgg.text.codec import GraphSpec

BATCH = Path(__file__).parents[1] / "tests" / "golden" / "rewards_batch256.jsonl.gz"
MAX_CHARS = 64 * 1024
SPEC = GraphSpec(FrameSpec(Frame.original_px), reasoning=True)
MIX = RewardSpec(dict.fromkeys(TERMS, 1.0), similarity=SimilarityKind.table)
SIDE = 1000
BITS = (
    *('"', "\\", "{", "}", "[", "]", ",", ":", "\n", "\0", "\ud800", "é", "-", "1e999", "NaN"),
    *("null", "true", "Infinity", "<think>", "</think>", "<answer>", "</answer>", "```json", ".5"),
    *('{"objects": [],', '"objects": [', '{"graph": ', '"label": "x",', "<THINK>", "<answer>{"),
    *('"objects"', '"relationships"', '"bbox": [0, 0, 1]', '"id": 7', '{"objects": [', "9" * 5000),
)


def batch() -> list[tuple[str, SceneGraph]]:
    """Completions with their gold, boxes in 0..1000."""
    with gzip.open(BATCH, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(row["completion"], _gold(row)) for row in rows]


def _gold(row: dict[str, Any]) -> SceneGraph:
    gold = from_dict(row["solution"])
    return gold.with_boxes(gold.boxes_xyxy * SIDE)


def mutated(text: str, other: str, rng: random.Random) -> str:
    """One to four random edits; now and then many thousands of copies of a piece."""
    for _ in range(rng.randint(1, 4)):
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        match rng.randrange(9):
            case 0:
                text = text[:a]
            case 1:
                text = text[:a] + text[b:]
            case 2:
                text = text[:b] + text[a:b] * rng.randint(1, 4) + text[b:]
            case 3:
                text = text[:a] + rng.choice(BITS) + text[a:]
            case 4:
                c = rng.randrange(len(other) + 1)
                text = text[:a] + other[c : c + b - a] + text[b:]
            case 5:
                text = text[:a] + text[a : a + 1].swapcase() + text[a + 2 :]
            case 6:
                text = text.replace(rng.choice(BITS[:12]), rng.choice(BITS), rng.randint(1, 3))
            case 7:
                text = text[:a] + "".join(chr(rng.randrange(0x3000)) for _ in range(5)) + text[b:]
            case _:
                if rng.random() < 0.02:
                    piece = text[a : a + rng.randint(1, 200)] or "{"
                    text = text[:a] + piece * (MAX_CHARS // len(piece))
    return text[:MAX_CHARS]


def worst_cases() -> Iterator[str]:
    """Texts of 64 kB that are meant to be slow."""
    item = '{"id":"a.%d","bbox":[%d,0,%d,9]},'
    relation = '{"subject":"a.1","predicate":"on","object":"a.%d"},'
    yield '{"objects":[' + "".join(item % (i, i % 900, i % 900 + 9) for i in range(1700))
    many = "".join(item % (i, i % 900, i % 900 + 9) for i in range(800)).rstrip(",")
    related = "".join(relation % (i % 800) for i in range(700)).rstrip(",")
    yield f'{{"objects":[{many}],"relationships":[{related}]}}'
    yield f'{{"objects":[{many}],"relationships":[{related},]}}'
    for bit in ("[", "{", '{"', "1,", "[],", "{},", '"a",', '{"id":1},', "\\", '"', " ", ".5,"):
        yield '{"objects":[' + bit * (MAX_CHARS // len(bit))
        yield '{"objects":[' + (bit * (MAX_CHARS // len(bit))).rstrip(",")[: MAX_CHARS - 40] + "]}"
        yield bit * (MAX_CHARS // len(bit))
    for bit in (  # graphs, keys and tags without end
        *(
            '{"objects":[]}',
            '{"objects":1}',
            '{"objects":[1 ',
            '{"objects":[],}',
            '"objects":',
            "</think>",
        ),
        *(
            '"b":1,"objects":[],',
            '1,"a":{"objects":',
            '<answer>"a":{"objects":{"a":1},',
            "<answer>",
        ),
        *(
            '{"a":1,"objects":[]}',
            '{"bbox_2d":[1,2,3,4],"label":"man"},',
            '{"scene_graph":',
            "<think>",
        ),
        *(
            f'{{"objects":[{relation}',
            f'{{"objects":[{item % (1, 1, 9)}',
            '{"x":"',
            '{"objects":[{"id":"',
        ),
    ):
        yield bit * (MAX_CHARS // len(bit))
        yield "<answer>" + bit * (MAX_CHARS // len(bit) - 1) + "</answer>"
    yield '{"objects":' + "9" * (MAX_CHARS - 20) + "}"


class Fuzz:
    """Scores texts and remembers what went wrong and how long the slowest took."""

    def __init__(self) -> None:
        self.scorer = Scorer(MIX, SPEC)
        self.slowest_ms = 0.0
        self.slowest = ""
        self.failures: Counter[str] = Counter()

    def run(self, text: str, gold: SceneGraph) -> None:
        """Raises AssertionError if a term leaves its range."""
        gc.disable()  # what it takes to look through all else that the process holds is not the text's
        start = time.process_time()
        try:
            reward = self.scorer.group([text], gold, SIDE, SIDE)[0]
        finally:
            gc.enable()
        spent = (time.process_time() - start) * 1000
        if spent > self.slowest_ms:
            self.slowest_ms, self.slowest = spent, text
        kind = reward.parsed.failure
        self.failures[kind.value if kind else "read"] += 1
        for name, value in reward.breakdown.items():
            term = TERMS[name]
            assert term.low - 1e-9 <= value <= term.high + 1e-9, (name, value, text[:500])


def fuzz(count: int, seed: int = 0) -> Fuzz:
    """`count` mutated completions after the worst cases."""
    rng, seeds, state = random.Random(seed), batch(), Fuzz()
    state.scorer.group([seeds[0][0]], seeds[0][1], SIDE, SIDE)  # the table is loaded once
    for text in worst_cases():
        state.run(text[:MAX_CHARS], seeds[0][1])
    for _ in range(count):
        text, gold = rng.choice(seeds)
        state.run(mutated(text, rng.choice(seeds)[0], rng), gold)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.time()
    state = fuzz(args.count, args.seed)
    print(f"{args.count:,} mutated completions, {time.time() - start:.0f} s: nothing raised")
    print(", ".join(f"{kind} {n:,}" for kind, n in state.failures.most_common()))
    print(
        f"slowest parse + all terms: {state.slowest_ms:.1f} ms CPU ({len(state.slowest):,} chars:"
    )
    print(f"  {state.slowest[:60]!r} …)")
    sys.exit(state.slowest_ms >= 50)


if __name__ == "__main__":
    main()
