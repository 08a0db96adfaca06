"""Evaluation in two steps with a file between: generate `completions.jsonl`, then score it.

`score_file` needs no model and no GPU: it reads answers and gold and writes `metrics.json`, in which
every number stands beside the config, the code revision, the data's fingerprint and its counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

from sgg.codec import GraphSpec, Parsed, parse
from sgg.config import FROZEN_NAME, Config, EvalConfig, TrackerKind
from sgg.data.build import Prepared, image_store, prepare, vocabulary
from sgg.errors import SggError
from sgg.graph import SceneGraph
from sgg.metric import recall as triplets
from sgg.metric.bootstrap import interval
from sgg.metric.detection import average_precision
from sgg.metric.failure import failure_rate, problem_counts
from sgg.run import git_state, read_json_lines, write_json
from sgg.spec import graph_spec, pixel_budget, prompter

log = logging.getLogger("sgg")

METRICS = "metrics.json"
CUTOFFS: tuple[int | None, ...] = (20, 50, 100, None)
"""K of R@K; None for all predictions."""


def run(config: Config, run_dir: Path) -> None:
    """The eval stage: generate what is missing, score, write metrics.json."""
    from sgg.generate import COMPLETIONS, HfEngine, Sampling, Shard, generate_split, merge
    from sgg.model import load_model, load_processor, torch_dtype
    from sgg.train.distributed import Ranks
    from sgg.weights import locate

    assert isinstance(config.stage, EvalConfig)
    part = config.stage.part.name
    ranks = Ranks.start(config.hardware)
    with ranks.first_goes_ahead():
        folder = locate(config.model.path, config.model.revision)
        prepared = prepare(config.data, part, Path(config.paths.cache), quiet=not ranks.is_main)
    generate = config.generate
    sampling = Sampling(
        generate.max_new_tokens,
        generate.temperature,
        generate.top_p,
        generate.top_k,
        generate.completions,
        config.seed,
    )
    if not (run_dir / COMPLETIONS).is_file():
        dtype = torch_dtype(config.model.dtype, config.hardware.precision)
        model = load_model(config.model, folder, dtype, config.seed).to(ranks.device)
        processor = load_processor(folder, *pixel_budget(config))
        generate_split(
            HfEngine(model, processor, sampling),
            prepared,
            image_store(config.data, part),
            prompter(config),
            sampling,
            run_dir,
            generate.batch_size,
            Shard(ranks.rank, ranks.world),
            config.stage.shuffle_images,
        )
    ranks.wait()
    if ranks.is_main:
        completions = run_dir / COMPLETIONS
        if not completions.is_file():
            completions = merge(prepared, run_dir, sampling.completions)
        predicates = vocabulary(config.data)
        metrics = score_file(
            completions, prepared, graph_spec(config), predicates.predicates if predicates else None
        )
        metrics["made_from"] = {
            "config": FROZEN_NAME,
            "config_sha256": _digest(run_dir / FROZEN_NAME),
            "completions_sha256": _digest(completions),
            "data_fingerprint": prepared.fingerprint,
            "model": str(folder),
            "seed": config.seed,
            "git": git_state(),
        }
        write_json(run_dir / METRICS, metrics)
        _track(config, run_dir, metrics)


def _track(config: Config, run_dir: Path, metrics: dict[str, Any]) -> None:
    """The numbers, and some answers drawn beside their gold, to the tracker."""
    from sgg.generate import COMPLETIONS
    from sgg.report.samples import draw_samples
    from sgg.tracker import open_tracker

    if config.tracker.kind is TrackerKind.none:
        return
    tracker = open_tracker(config, run_dir)
    tracker.log({f"eval/{name}": value for name, value in metrics["metrics"].items()}, 0)
    drawn = draw_samples(config, run_dir / COMPLETIONS, config.tracker.samples)
    rows = [[s.image_id, s.gold_picture, s.answer_picture, s.text] for s in drawn]
    tracker.table("eval/samples", ["image", "gold", "answer", "text"], rows)
    tracker.finish()


def score_file(
    completions: Path, prepared: Prepared, spec: GraphSpec, predicates: tuple[str, ...] | None
) -> dict[str, Any]:
    """Metrics of a completions file against a prepared split.

    An image of the split without an answer counts as a failure and scores 0; with several answers per
    image each counts as an image. Intervals are 95 % bootstrap intervals over images.

    Args:
        predicates: what mean recall divides by; None for the predicates in gold.

    Raises:
        SggError: the file holds answers to images that are not in the split.

    """
    answers = _answers(completions, prepared)
    golds = [prepared.gold(i) for i in range(len(prepared))]
    parsed: list[Parsed | None] = []
    pairs: list[tuple[SceneGraph, SceneGraph]] = []
    for gold in golds:
        for text in answers[gold["image_id"]] or [None]:
            answer = None if text is None else parse(text, spec, gold["width"], gold["height"])
            parsed.append(answer)
            pairs.append((answer.graph if answer else SceneGraph(), gold["graph"]))
    hits = [triplets.image_hits(pred, gold) for pred, gold in pairs]
    per_image = [r for r in (triplets.image_recall(h, None) for h in hits) if r is not None]
    failed = [float(a is None or a.failure is not None) for a in parsed]
    ap = average_precision(pairs)
    values: dict[str, float] = {"failure_rate": failure_rate(parsed)}
    for k in CUTOFFS:
        name = f"@{k}" if k is not None else ""
        values[f"R{name}"] = triplets.recall(hits, k)
        values[f"mR{name}"] = triplets.mean_recall(hits, k, predicates)
    precision, recalled = triplets.precision(hits), triplets.recall(hits, None)
    values |= {
        "precision": precision,
        "F1": 2 * precision * recalled / (precision + recalled) if precision + recalled else 0.0,
        "object_recall": triplets.object_recall(hits),
        "AP50": ap.ap50,
        "AP": ap.ap,
        "relations_per_image": sum(h.predicted for h in hits) / len(hits),
    }
    return {
        "protocol": "sgg: SGDet, IoU >= .5 plain, order of writing ranks, all images count",
        "images": len(golds),
        "answers": len(parsed),
        "images_with_relations": sum(bool(g["graph"].edges) for g in golds),
        "gold_relations": sum(len(g["graph"].edges) for g in golds),
        "metrics": values,
        "intervals": {"R": interval(per_image), "failure_rate": interval(failed)},
        "problems": problem_counts(parsed),
        "recall_per_predicate": triplets.predicate_recalls(hits, None),
    }


def _answers(completions: Path, prepared: Prepared) -> dict[str, list[str | None]]:
    known = set(prepared.rows["image_id"])
    answers: dict[str, list[str | None]] = defaultdict(list)
    for row in read_json_lines(completions):
        if row["image_id"] not in known:
            raise SggError(
                f"{completions}: image {row['image_id']} is not in the split that it is scored against. "
                "Check data and its limits."
            )
        answers[row["image_id"]].append(row["text"])
    return answers


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_metrics(run_dir: Path) -> dict[str, Any] | None:
    """metrics.json of a run, if it has been written."""
    path = run_dir / METRICS
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    return content
