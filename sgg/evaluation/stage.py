"""Evaluation in two steps with a file between: generate `completions.jsonl`, then score it.

`score_split` needs no model and no GPU: `sgg score` takes the same path. In `metrics.json` every number
stands beside its protocol, the config, the code revision, the data's fingerprint and its counts.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from sgg.config.derived import gold_data, scored_split
from sgg.config.frozen import FROZEN_NAME
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig
from sgg.config.tracker import trackers
from sgg.data.prepare import image_store, prepare, vocabulary
from sgg.data.prepared_split import Prepared
from sgg.data.zero_shot import unseen_triplets
from sgg.errors import SggError
from sgg.evaluation.predictions import Predictions, read_predictions
from sgg.evaluation.score import Scored, score
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec, prompter
from sgg.runs.code_state import code_record
from sgg.runs.folder import COMPLETIONS, read_json_lines
from sgg.text.codec import GraphSpec
from sgg.tracking.names import EVALUATED_STEP

log = logging.getLogger("sgg")


def run(config: Config, run_dir: Path) -> None:
    """The eval stage: generate what is missing, score, write metrics.json."""
    from sgg.data.summary import report_split
    from sgg.distributed import Ranks
    from sgg.inference.engines import opened
    from sgg.inference.generate import Questions, Sampling, Shard, generate_split, merge
    from sgg.models.weights import locate
    from sgg.plan.opening import opening

    assert isinstance(config.stage, EvalConfig)
    split = scored_split(config)
    ranks = Ranks.start(config.hardware)
    with ranks.main_process_first():
        folder = locate(config.model.path, config.model.revision)
        prepared = prepare(
            gold_data(config), split, Path(config.paths.cache), quiet=not ranks.is_main
        )
        if ranks.is_main:
            report_split(config, split, prepared, run_dir)
            log.info("%s", opening(config, {split: len(prepared)}))
    sampling = Sampling.of(config)
    questions = Questions(
        prepared,
        image_store(config.data, split),
        prompter(config),
        sampling.completions,
        config.stage.shuffle_images,
    )
    if not (run_dir / COMPLETIONS).is_file():
        with opened(config, folder, sampling, ranks, run_dir) as engine:
            generate_split(engine, questions, run_dir, Shard(ranks.rank, ranks.world))
    ranks.wait()
    if ranks.is_main:
        completions = run_dir / COMPLETIONS
        if not completions.is_file():
            completions = merge(questions, run_dir)
        predictions = read_predictions(completions, vocabulary(config.data))
        scored = score_split(config, predictions, prepared)
        scored.content["made_from"] = {
            "config": FROZEN_NAME,
            "config_sha256": _digest(run_dir / FROZEN_NAME),
            "completions_sha256": predictions.digest(),
            "data_fingerprint": prepared.fingerprint,
            "model": str(folder),
            "seed": config.seed,
            **code_record(),
        }
        if config.grammar is not None:
            scored.content["masked_mass"] = _masked_mass(completions)
        scored.write(run_dir)
        _track(config, run_dir, scored.content, folder)


def _masked_mass(completions: Path) -> float:
    """Probability that the grammar took away, mean over the tokens of all completions."""
    rows = read_json_lines(completions)
    tokens = [row["tokens"] + (not row["truncated"]) for row in rows]  # the end was masked, too
    total = sum(n * row["masked_mass"] for n, row in zip(tokens, rows, strict=True))
    mean: float = total / sum(tokens)
    log.info("grammar took away %.3f of the model's probability, mean over the tokens", mean)
    return mean


def _track(config: Config, run_dir: Path, metrics: dict[str, Any], model: Path) -> None:
    """The numbers, and some predictions drawn beside their gold, to the tracker."""
    from sgg.evaluation.samples import draw_samples
    from sgg.models.weights import trained_steps
    from sgg.tracking.open import tracking

    if not trackers(config.tracker):
        return
    with tracking(config, run_dir) as tracker:
        values = {f"eval/{name}": value for name, value in metrics["metrics"].items()}
        tracker.log({EVALUATED_STEP: trained_steps(model), **values}, 0)
        try:
            drawn = draw_samples(config, run_dir / COMPLETIONS, config.tracker.samples)
        except (SggError, OSError) as error:  # what is scored again may have its images elsewhere
            log.warning("its drawn predictions are missing at the tracker: %s", error)
            return
        rows = [[s.image_id, s.gold_image, s.pred_image, s.text] for s in drawn]
        tracker.table("eval/samples", ["image", "gold", "prediction", "text"], rows)


def score_split(
    config: Config, predictions: Predictions, prepared: Prepared, spec: GraphSpec | None = None
) -> Scored:
    """Score predictions against a prepared split as the config says: protocol, spec, zero-shot list.

    Args:
        spec: how these predictions are written, where it is not as the config says.

    """
    task = task_of(config, prepared)
    return score(predictions, prepared, spec or graph_spec(config), task, config.data.workers)


def task_of(config: Config, prepared: Prepared) -> Task:
    """What predictions for a split are judged by: protocol, vocabulary, zero-shot list."""
    cache = Path(config.paths.cache)
    split = scored_split(config)
    unseen = unseen_triplets(config.protocol, config.data, split, cache, prepared)
    return Task(config.protocol, vocabulary(config.data), unseen)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
