"""What scoring costs: the real VG150 test graphs, one completion each, under all metrics.

Prints CPU and wall time at 500, 5,000 and all images, memory held, and the ratio to a plain baseline
(nested loops over the definition: parse, all pairs of relations, IoU in plain Python; recall alone, no
AP). Gold: SGG_REALDATA/vg150_test (26,446 images); without it synthetic graphs of the same sizes.
    python bench/metrics.py [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sgg.config.model import Frame
from sgg.config.protocol import Mode, ProtocolConfig
from sgg.data import cache as table
from sgg.data.clean import Report
from sgg.data.prepared_split import Prepared, decode_row
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.score import score
from sgg.metrics.tally import Task
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import Edge, Node, SceneGraph, to_dict
from sgg.scene.vocab import VOCABULARIES, canonical
from sgg.text.codec import GraphSpec, parse, render

VG150 = VOCABULARIES["vg150"]
SPEC = GraphSpec(FrameSpec(Frame.norm1000), vocabulary=VG150)
SIZES = (500, 5_000, 26_446)
BASELINE_IMAGES = 500


def gold_rows(count: int) -> list[tuple[str, int, int, SceneGraph]]:
    """(id, width, height, graph) of the first images: real ones where they are at hand."""
    real = os.environ.get("SGG_REALDATA")
    if not real:
        print("SGG_REALDATA is not set: synthetic graphs instead of the real VG150 test split")
        return [synthetic(i) for i in range(count)]
    from sgg.data.clean import Policy, clean
    from sgg.data.sources.vg import open_vg

    reader = open_vg(Path(real).resolve() / "vg150_test", None, "test", None, "data.eval.path")
    rows, report = [], Report()
    for index in range(min(count, len(reader))):
        raw = reader.read(index)
        graph = clean(raw, Policy(VG150), report)
        if graph is not None:
            rows.append((raw.image_id, raw.width, raw.height, graph))
    return rows


def synthetic(index: int) -> tuple[str, int, int, SceneGraph]:
    rng = random.Random(index)
    nodes = []
    for _ in range(rng.randint(2, 15)):
        x, y = rng.randint(0, 700), rng.randint(0, 500)
        box = (x, y, x + rng.randint(10, 100), y + rng.randint(10, 100))
        nodes.append(Node(rng.choice(VG150.objects), box))
    pairs = [(rng.randrange(len(nodes)), rng.randrange(len(nodes))) for _ in range(7)]
    edges = [Edge(s, rng.choice(VG150.predicates), o) for s, o in pairs if s != o]
    return str(index), 800, 600, SceneGraph(tuple(nodes), tuple(edges))


def completion(index: int, width: int, height: int, gold: SceneGraph) -> str:
    """Gold with a tenth of the names and predicates wrong, boxes shaken and a relation too many."""
    rng = random.Random(index)
    nodes = []
    for node in gold.nodes:
        x1, y1, x2, y2 = (v + rng.gauss(0, 4) for v in node.box)
        name = rng.choice(VG150.objects) if rng.random() < 0.1 else node.name
        nodes.append(Node(name, (max(x1, 0), max(y1, 0), max(x2, x1 + 2), max(y2, y1 + 2))))
    edges = [
        Edge(e.subject, rng.choice(VG150.predicates), e.object) if rng.random() < 0.3 else e
        for e in gold.edges
    ]
    edges += [e for e in gold.edges[:1] if len(nodes) > 1]
    return render(SceneGraph(tuple(nodes), tuple(edges)), SPEC, width, height)


def prepare(count: int, folder: Path) -> None:
    """Write a prepared table and a completions file for that many images."""
    rows, lines = [], []
    for index, (image_id, width, height, graph) in enumerate(gold_rows(count)):
        row = {"image_id": image_id, "image_ref": "", "width": width, "height": height}
        rows.append(row | {"graph": json.dumps(to_dict(graph)), "columns": "{}", "digest": ""})
        text = completion(index, width, height, graph)
        lines.append(json.dumps({"image_id": image_id, "index": 0, "text": text}) + "\n")
    table.write(folder / f"gold-{count}", rows, Report())
    (folder / f"completions-{count}.jsonl").write_text("".join(lines), encoding="utf-8")


def measure(count: int, folder: Path, workers: int) -> dict[str, float]:
    """Score that many images in this process and its workers."""
    gold = Prepared(table.read_rows(folder / f"gold-{count}"), {}, "")
    task = Task(ProtocolConfig(modes=list(Mode)), VG150, frozenset({("man", "on", "dog")}))
    start, cpu = time.perf_counter(), cpu_seconds()
    predictions = read_predictions(folder / f"completions-{count}.jsonl", VG150)
    found = score(predictions, gold, SPEC, task, workers)
    return {
        "images": len(gold),
        "wall": time.perf_counter() - start,
        "cpu": cpu_seconds() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "R@50": found.content["metrics"]["R@50"],
        "AP50": found.content["metrics"]["AP50"],
        "metrics": len(found.content["metrics"]),
    }


def cpu_seconds() -> float:
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def baseline(folder: Path) -> float:
    """CPU seconds an image of recall by nested loops, canonical forms and overlaps made each time."""

    def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        inter = max(w, 0) * max(h, 0)
        areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return inter / (areas - inter)

    def hit(pred: SceneGraph, p: Edge, gold: SceneGraph, g: Edge) -> bool:
        ends = [(p.subject, g.subject), (p.object, g.object)]
        same = canonical.__wrapped__  # without its cache, as a plain program would
        return (
            same(p.predicate) == same(g.predicate)
            and all(same(pred.nodes[a].name) == same(gold.nodes[b].name) for a, b in ends)
            and all(overlap(pred.nodes[a].box, gold.nodes[b].box) >= 0.5 for a, b in ends)
        )

    count = SIZES[0]
    rows = Prepared(table.read_rows(folder / f"gold-{count}"), {}, "").rows
    texts = [json.loads(x)["text"] for x in (folder / f"completions-{count}.jsonl").open()]
    start = time.process_time()
    for _mode in Mode:
        for row, text in zip(rows, texts, strict=True):
            item = decode_row(row)
            gold, pred = item["graph"], parse(text, SPEC, item["width"], item["height"]).graph
            for k in (20, 50, 100, None):
                for _variant in ("R", "ngR", "zR", "mR"):
                    for g in gold.edges:
                        any(hit(pred, p, gold, g) for p in pred.edges[:k])
    return (time.process_time() - start) / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:  # a process of its own, so that memory is this size's alone
        print(json.dumps(measure(int(args.measure[0]), Path(args.measure[1]), args.workers)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, results = Path(name), []
        for count in SIZES:
            prepare(count, folder)
            command = [sys.executable, __file__, "--workers", str(args.workers)]
            command += ["--measure", str(count), name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            results.append(found)
            each = 1000 * found["cpu"] / found["images"]
            print(
                f"{found['images']:>6} images, {found['metrics']} metrics, 4 modes: "
                f"{found['wall']:6.1f} s wall, {found['cpu']:6.1f} s CPU, {each:.2f} CPU ms an image, "
                f"peak {found['peak_mb']:.0f} MB, "
                f"worker {found['worker_mb']:.0f} MB; R@50 {found['R@50']:.4f}, AP50 {found['AP50']:.4f}",
                flush=True,
            )
        small, large = results[0], results[-1]
        times = large["images"] / small["images"]
        print(
            f"{times:.0f} × the images take {large['cpu'] / small['cpu']:.0f} × the time and "
            f"{large['peak_mb'] / small['peak_mb']:.2f} × the memory"
        )
        plain, ours = 1000 * baseline(folder), 1000 * large["cpu"] / large["images"]
        print(f"plain loops, recalls only: {plain:.2f} CPU ms an image, {plain / ours:.1f} × ours")


if __name__ == "__main__":
    main()
