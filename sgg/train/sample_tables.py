"""Tables of a training's samples for trackers: gold beside what the model wrote, drawn."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgg.config.schema import Config
from sgg.data.example import Example
from sgg.data.images import ImageStore
from sgg.data.prepare import image_store, prepare, vocabulary
from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.evaluation.pictures import gold_and_prediction
from sgg.metrics.tally import Task
from sgg.models.spec import graph_spec
from sgg.runs.folder import SAMPLES
from sgg.runs.training_samples import SampleKind, TrainingSample, read_samples
from sgg.text.codec import parse
from sgg.tracking.open import Trackers

log = logging.getLogger("sgg")

TABLES = 5
"""Times in a training, evenly spread, at which samples are drawn."""

ROWS = 4
"""Samples in one table, at most: drawing them is most of what a tracker costs."""

COLUMNS = ["step", "image", "gold", "prediction", "text", "reward", "terms"]
_SIDE = 640
"""Pictures are made smaller than this, pixels: a tracker keeps all of them."""


class SampleTables:
    """Hands the samples of some steps to the trackers as `samples/fixed` and `samples/rotating`."""

    def __init__(self, config: Config, run_dir: Path, trackers: Trackers) -> None:
        self._config, self._run_dir, self._trackers = config, run_dir, trackers
        self._task = Task(config.protocol, vocabulary(config.data))
        self._splits: dict[SampleKind, tuple[Prepared, ImageStore, dict[str, int]]] = {}
        self._next = 0

    def logged(self, step: int, steps: int) -> None:
        """The numbers of a step were handed over: its samples follow, if they are due.

        Args:
            step: the newest one of which samples are shown.
            steps: of the whole training.

        """
        if step < self._next or not self._trackers.started:
            return
        self._next = min(step + math.ceil(steps / TABLES), steps) if step < steps else steps + 1
        try:
            samples = [s for s in read_samples(self._run_dir) if s.step <= step]
            for kind in SampleKind:
                self._show(kind, [s for s in samples if s.kind is kind])
        except (SggError, OSError) as error:
            log.warning("step %d: its samples are missing at the tracker: %s", step, error)

    def _show(self, kind: SampleKind, samples: Sequence[TrainingSample]) -> None:
        if samples:
            newest = samples[-1].step
            shown = [sample for sample in samples if sample.step == newest][:ROWS]
            rows = [self._row(sample) for sample in shown]
            self._trackers.table(f"samples/{kind.value}", COLUMNS, rows)

    def _row(self, sample: TrainingSample) -> list[Any]:
        item = self._example(sample)
        parsed = parse(sample.text, graph_spec(self._config), item.width, item.height)
        pictures = gold_and_prediction(item.image, item.graph, parsed.graph, self._task)
        for picture in pictures:
            picture.thumbnail((_SIDE, _SIDE))
        terms = "" if sample.reward is None else json.dumps(sample.reward)
        return [
            sample.step,
            sample.image_id,
            *pictures,
            sample.text,
            sample.total,
            terms,
        ]

    def _example(self, sample: TrainingSample) -> Example:
        if sample.kind not in self._splits:
            data, name = self._config.data, sample.kind.split
            split = prepare(data, name, Path(self._config.paths.cache), quiet=True)
            places = {image_id: place for place, image_id in enumerate(split.image_ids)}
            self._splits[sample.kind] = split, image_store(data, name), places
        split, store, places = self._splits[sample.kind]
        if sample.image_id not in places:
            raise SggError(f"{SAMPLES}: no image {sample.image_id!r} in data.{sample.kind.split}.")
        return split.example(places[sample.image_id], store)
