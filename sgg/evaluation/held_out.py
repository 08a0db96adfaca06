"""The images on which a training is evaluated: asked and scored as `stage=eval` does, without a file between.

Input: a training's config. Output: what to ask, and the metrics of the completions. Generates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgg.config.derived import gold_data
from sgg.config.schema import Config
from sgg.config.stage import TrainStageConfig
from sgg.data.prepare import image_store, prepare
from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.evaluation.prediction_files import Held
from sgg.evaluation.prediction_rows import Form
from sgg.evaluation.predictions import Predictions, Stored
from sgg.evaluation.score import score
from sgg.evaluation.stage import task_of
from sgg.inference.generate import Completion, Key, Questions, Sampling
from sgg.metrics.names import WITHOUT_RELATIONS
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec, prompter
from sgg.text.codec import GraphSpec


@dataclass(frozen=True)
class HeldOut:
    """The first images of the eval split, `stage.evaluate.images` of them."""

    questions: Questions
    sampling: Sampling
    spec: GraphSpec
    task: Task

    @staticmethod
    def of(config: Config) -> HeldOut:
        """Those of a training run; the split is prepared if it was not.

        Raises:
            SggError: the split is unusable, or its gold has no such metric as `stage.evaluate.keep_best`.

        """
        assert isinstance(config.stage, TrainStageConfig)
        evaluate, cache = config.stage.evaluate, Path(config.paths.cache)
        whole = prepare(gold_data(config), "eval", cache, quiet=True)
        if whole.refusal:
            raise SggError(whole.refusal)
        prepared, sampling = whole.first(evaluate.images), Sampling.of(config)
        task = task_of(config, prepared)
        _refuse_constant(evaluate.keep_best, prepared, task)
        store, asked = image_store(config.data, "eval"), prompter(config)
        questions = Questions(prepared, store, asked, sampling.completions)
        return HeldOut(questions, sampling, graph_spec(config), task)

    def score(self, found: Mapping[Key, Completion]) -> dict[str, float]:
        """The metrics by name, as in metrics.json."""
        by_image: dict[str, list[Stored]] = {}
        for image_id, index in self.questions.wanted():
            row = {"text": found[image_id, index].text}
            stored = Stored(image_id, index, Form.text, Held(f"image {image_id}", row))
            by_image.setdefault(image_id, []).append(stored)
        predictions = Predictions(Path("held-out images"), by_image)
        # in this process: a fork of one that trains would copy its threads' locks
        scored = score(predictions, self.questions.prepared, self.spec, self.task, workers=1)
        metrics: dict[str, float] = scored.content["metrics"]
        return metrics


def _refuse_constant(metric: str | None, prepared: Prepared, task: Task) -> None:
    """Raise where a metric has nothing to count, and so the same value for all checkpoints."""
    if metric is None or metric in WITHOUT_RELATIONS:
        return
    if "zR" in metric and not task.unseen:
        raise SggError(
            f"stage.evaluate.keep_best={metric}: these images of data.eval have no triplets that training "
            "does not show. Take protocol.zero_shot=train, more stage.evaluate.images, or another metric."
        )
    if not any(gold["graph"].edges for gold in prepared.golds()):
        raise SggError(
            f"stage.evaluate.keep_best={metric}: the first {len(prepared)} images of data.eval have no "
            "relations. Take more stage.evaluate.images, or AP50 or object_recall."
        )
