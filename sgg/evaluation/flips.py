"""The images whose gold relations two runs find otherwise, as lines of JSON: flips.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sgg.data.prepared_split import Prepared
from sgg.evaluation.comparison import Comparison
from sgg.files import whole_file
from sgg.scene.graph import SceneGraph

FLIPS = "flips.jsonl"


def write_flips(comparison: Comparison, gold: Prepared, folder: Path) -> Path:
    """Write FOLDER/flips.jsonl, the images that gained most first; returns its path.

    A line: image_id, change, the number of gold relations, how many are found before and after, and as text
    those that are gained and lost.

    Args:
        gold: the split that both runs were scored against.

    """
    index = {image_id: i for i, image_id in enumerate(gold.image_ids)}
    path = folder / FLIPS
    with whole_file(path) as file:
        for image in comparison.flipped():
            graph = gold.gold(index[image.image_id])["graph"]
            row = {
                "image_id": image.image_id,
                "change": image.change,
                "gold": image.gold,
                "before": image.before,
                "after": image.after,
                "gained": _relations(graph, image.gained),
                "lost": _relations(graph, image.lost),
            }
            file.write(json.dumps(row) + "\n")
    return path


def _relations(graph: SceneGraph, places: Sequence[int]) -> list[str]:
    return [" ".join(graph.triplet(graph.edges[place])) for place in places]
