"""R1-SGG's default mix written plainly from its formulas: the baseline of `bench/rewards.py`.

Nested Python loops, and each term parses and matches the completion again, as reward functions that know
nothing of each other do. Only the similarity of two names is cached. Not for use; for comparison.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import Any

from scipy.optimize import linear_sum_assignment

from sgg.scene.similarity import table
from sgg.scene.vocab import canonical

Box = list[float]
Graph = dict[str, Any]


@cache
def alike(a: str, b: str) -> float:
    a, b = canonical(a), canonical(b)
    rows, values = table()
    if a in rows and b in rows:
        return float(values[rows[a], rows[b]])
    return float(a == b)


def read(text: str) -> Graph | None:
    found = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    body = (found.group(1) if found else text).replace("```json", "").replace("```", "").strip()
    try:
        graph = json.loads(body)
        nodes = [
            {
                "id": o["id"],
                "name": re.sub(r"\.\d+$", "", o["id"]),
                "box": [float(v) for v in o["bbox"]],
            }
            for o in graph["objects"]
        ]
        edges = [(r["subject"], r["predicate"], r["object"]) for r in graph["relationships"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    if any(len(n["box"]) != 4 or not all(map(math.isfinite, n["box"])) for n in nodes):
        return None
    if not all(isinstance(name, str) for edge in edges for name in edge):
        return None
    return {"nodes": nodes, "edges": edges}


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    inter = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    union = area(a) + area(b) - inter
    return inter / union if union > 0 else 0.0


def giou(a: Box, b: Box) -> float:
    inter = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    union = area(a) + area(b) - inter
    hull = area([min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])])
    overlap = inter / union if union > 0 else 0.0
    return overlap - ((hull - union) / hull if hull > 0 else 0.0)


def l1(a: Box, b: Box) -> float:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def match(pred: Graph, gold: Graph) -> dict[int, int]:
    """Predicted node by gold node."""
    if not pred["nodes"] or not gold["nodes"]:
        return {}
    cost = []
    for p in pred["nodes"]:
        row = []
        for g in gold["nodes"]:
            names = 1 - alike(p["name"], g["name"])
            row.append(names + 2 * (1 - giou(p["box"], g["box"])) + 5 * l1(p["box"], g["box"]))
        cost.append(row)
    rows, columns = linear_sum_assignment(cost)
    return {int(c): int(r) for r, c in zip(rows, columns, strict=True)}


def scaled(graph: Graph, side: float) -> Graph:
    nodes = [{**n, "box": [v / side for v in n["box"]]} for n in graph["nodes"]]
    return {"nodes": nodes, "edges": graph["edges"]}


def format_term(text: str, gold: Graph, side: float) -> float:
    if not re.search(r"<think>.*?</think>.*<answer>.*?</answer>", text, re.DOTALL):
        return 0.0
    graph = read(text)
    if graph is None or not graph["nodes"]:
        return 0.0
    ids = [n["id"] for n in graph["nodes"]]
    ends = all(s in ids and o in ids for s, _, o in graph["edges"])
    return float(len(set(ids)) == len(ids) and ends)


def node_acc_term(text: str, gold: Graph, side: float) -> float:
    graph = read(text)
    if graph is None:
        return 0.0
    pred = scaled(graph, side)
    total = 0.0
    for g, p in match(pred, gold).items():
        total += alike(pred["nodes"][p]["name"], gold["nodes"][g]["name"])
    return total / len(gold["nodes"])


def node_box_term(text: str, gold: Graph, side: float) -> float:
    graph = read(text)
    if graph is None:
        return 0.0
    pred = scaled(graph, side)
    total = 0.0
    for g, p in match(pred, gold).items():
        a, b = pred["nodes"][p]["box"], gold["nodes"][g]["box"]
        total += (2 * iou(a, b) + 5 * math.exp(-l1(a, b))) / 7
    return total / len(gold["nodes"])


def edge_term(text: str, gold: Graph, side: float) -> float:
    graph = read(text)
    if graph is None:
        return 0.0
    pred = scaled(graph, side)
    pairs = match(pred, gold)
    place = {n["id"]: i for i, n in enumerate(gold["nodes"])}
    total = 0.0
    for s, predicate, o in gold["edges"]:
        ends = pairs.get(place[s]), pairs.get(place[o])
        if ends[0] is None or ends[1] is None:
            continue
        a, b = pred["nodes"][ends[0]], pred["nodes"][ends[1]]
        best = 0.0
        for subject, said, obj in pred["edges"]:
            if subject == a["id"] and obj == b["id"]:
                best = max(best, alike(said, predicate))
        names = alike(a["name"], gold["nodes"][place[s]]["name"])
        total += names * alike(b["name"], gold["nodes"][place[o]]["name"]) * best
    return total / len(gold["edges"])


TERMS = {
    "format": format_term,
    "node_acc": node_acc_term,
    "node_box": node_box_term,
    "edge_soft": edge_term,
}


def rewards(text: str, gold: Graph, side: float) -> dict[str, float]:
    return {name: term(text, gold, side) for name, term in TERMS.items()}
