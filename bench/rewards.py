"""CPU time of R1-SGG's default mix on the golden batch, beside a plain baseline: `python bench/rewards.py`.

Both run in turn in this process, single thread, similarity cached. Ours is called as TRL calls it: eight
completions for an image at a time. Prints medians of CPU time per completion, their ratio, and what worker
processes would bring for a batch four times as large.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import statistics
import sys
import time
from itertools import groupby
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import plain_rewards

from sgg.config.model import Frame
from sgg.config.reward import SimilarityKind
from sgg.reward.score import Group, RewardSpec
from sgg.reward.workers import BatchScorer
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import from_dict
from sgg.text.codec import GraphSpec

BATCH = Path(__file__).parents[1] / "tests" / "golden" / "rewards_batch256.jsonl.gz"
SIDE = 1000
SPEC = GraphSpec(FrameSpec(Frame.original_px), reasoning=True)
MIX = RewardSpec(
    {"format": 1.0, "node_acc": 2.0, "node_box": 2.0, "edge_soft": 5.0},
    similarity=SimilarityKind.table,
)
ROUNDS = 15
REPEATS = 5
"""Of ours in a round: the batch takes it a fiftieth of a second."""


def main() -> None:
    with gzip.open(BATCH, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    groups, plain = [], []
    for _, members in groupby(rows, key=lambda row: row["image_id"]):
        group = list(members)
        gold = from_dict(group[0]["solution"])
        graph = gold.with_boxes(gold.boxes_xyxy * SIDE)
        groups.append(Group([row["completion"] for row in group], graph, SIDE, SIDE))
        solution = plain_rewards.read(json.dumps(group[0]["solution"]))
        plain += [(row["completion"], solution) for row in group]
    scorer = BatchScorer(MIX, SPEC)
    ours, theirs = [], []
    gc.disable()  # as timeit does, for both: its pauses fall where they will
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        for _ in range(REPEATS):
            found = scorer.rewards(groups)
        middle = time.process_time()
        expected = [plain_rewards.rewards(text, gold, SIDE) for text, gold in plain]
        ours.append((middle - start) / REPEATS / len(plain) * 1e3)
        theirs.append((time.process_time() - middle) / len(plain) * 1e3)
    gc.enable()
    ours, theirs = ours[1:], theirs[1:]  # the first round fills the caches
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    same = sum(
        all(abs(a.breakdown[name] - b[name]) < 1e-6 for name in plain_rewards.TERMS)
        for a, b in zip(found, expected, strict=True)
    )
    print(f"{len(plain)} completions, CPU ms per completion, median of {ROUNDS} rounds:")
    print(
        f"  ours {statistics.median(ours):.4f}  plain {statistics.median(theirs):.4f}  {ratio:.1f} ×"
    )
    print(f"  best round: ours {min(ours):.4f}  plain {min(theirs):.4f}")
    print(
        f"  equal in all terms: {same} (the rest are completions with a bad item, which plain zeroes)"
    )
    if "--workers" in sys.argv:
        workers(groups * 16)


def workers(groups: list[Group]) -> None:
    """Wall time with and without two processes, for more and more completions."""
    alone, shared = BatchScorer(MIX, SPEC), BatchScorer(MIX, SPEC, workers=2)
    shared.rewards(groups)
    for count in (32, 128, 512):
        part = groups[:count]
        times = []
        for scorer in (alone, shared):
            start = time.perf_counter()
            scorer.rewards(part)
            times.append(time.perf_counter() - start)
        print(f"  {count * 8} completions: alone {times[0]:.3f} s, two workers {times[1]:.3f} s")
    shared.close()


if __name__ == "__main__":
    main()
