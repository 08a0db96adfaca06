"""Completions kept while a model trains: some of GRPO's own, and those of a fixed set of held-out images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from sgg.config.schema import Config
from sgg.data.prepare import image_store, prepare
from sgg.inference.generate import Sampling
from sgg.inference.hf import HfEngine
from sgg.models.spec import prompter
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples
from sgg.train.policy import generating

MOST_STEPS = 1000
"""Steps, evenly spread over a training, of which completions are kept."""


class StepSamples:
    """Keeps a few of GRPO's own completions of a step; they cost one write."""

    def __init__(self, run_dir: Path, count: int) -> None:
        """Know where to write.

        Args:
            count: completions kept of a step, at most; 0 for none.

        """
        self._run_dir, self._count = run_dir, count
        self._last_step = 0

    def keep(
        self,
        step: int,
        steps: int,
        image_ids: Sequence[str],
        texts: Sequence[str],
        terms: Mapping[str, Sequence[float]],
        weights: Mapping[str, float],
    ) -> None:
        """Write those of a step, unless it is between the steps that are kept, or has some already.

        Args:
            step: the step that the completions are drawn for, 1 for the first.
            steps: of the whole training.
            image_ids: of each completion.
            texts: the completions.
            terms: each term's value of each completion, NaN for none.
            weights: each term's weight at this step.

        """
        every = max(1, math.ceil(steps / MOST_STEPS))
        if not self._count or step <= self._last_step or (step - 1) % every:
            return
        self._last_step = step
        samples = []
        for place in spread(image_ids, self._count):
            values = {name: column[place] for name, column in terms.items()}
            given = {name: value for name, value in values.items() if not math.isnan(value)}
            samples.append(
                TrainingSample(
                    step,
                    image_ids[place],
                    SampleKind.rotating,
                    texts[place],
                    {name: given.get(name) for name in values},
                    math.fsum(weights[n] * v for n, v in given.items()) if given else None,
                )
            )
        append_samples(self._run_dir, samples)


def spread(image_ids: Sequence[str], count: int) -> list[int]:
    """Places of at most `count` completions, of as many images as there can be."""
    seen: dict[str, int] = {}
    turns = []
    for place, image_id in enumerate(image_ids):
        seen[image_id] = turn = seen.get(image_id, -1) + 1
        turns.append((turn, place))
    return [place for _, place in sorted(turns)[:count]]


class FixedSamples(TrainerCallback):  # type: ignore[misc]
    """The first held-out images, completed greedily as training goes on; main process only.

    No random state is touched, and the model is left as it was, so weights do not depend on it.
    """

    def __init__(self, config: Config, run_dir: Path, trainer: Any, processor: Any) -> None:
        """Read the images."""
        self._run_dir, self._trainer, self._processor = run_dir, trainer, processor
        self._every = config.tracker.samples_every
        held_out = prepare(config.data, "eval", Path(config.paths.cache), quiet=True)
        store = image_store(config.data, "eval")
        chosen = range(min(config.tracker.samples, len(held_out)))
        examples = [held_out.example(index, store) for index in chosen]
        asked = prompter(config)
        self._ids = [e.image_id for e in examples]
        self._chats = [asked.messages(e.width, e.height, e.columns) for e in examples]
        self._images = [e.image for e in examples]
        self._sampling = Sampling(config.generate.max_new_tokens)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the weights write that training starts from."""
        if state.global_step == 0:
            self._take(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What they write after this step; a run that a signal ends has no time for it."""
        is_last = state.global_step >= state.max_steps
        if control.should_training_stop and not is_last:
            return
        if is_last or state.global_step % self._every == 0:
            self._take(state.global_step)

    def _take(self, step: int) -> None:
        with generating(self._trainer) as model:
            engine = HfEngine(model, self._processor, self._sampling)
            found = engine.complete(self._chats, self._images, seed=0)
        samples = [
            TrainingSample(step, image_id, SampleKind.fixed, completion.text)
            for image_id, [completion] in zip(self._ids, found, strict=True)
        ]
        append_samples(self._run_dir, samples)
