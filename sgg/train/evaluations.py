"""Evaluation while a model trains: before the first step, every `stage.evaluate.every_steps`, at the end.

The same images and the same protocol each time, by the evaluator of `stage=eval`. Rows go to metrics.jsonl
and the trackers as `eval/…`; the checkpoint at which `keep_best` is best is saved, never removed, and named
by best.json. No random state is touched and the policy is left as it was: no weight depends on it.
Decisions follow from metrics.jsonl and are the main process's, shared with the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from transformers import TrainerCallback

from sgg.config.derived import evaluates_by_rollouts
from sgg.config.schema import Config
from sgg.config.stage import TrainStageConfig
from sgg.distributed import Ranks, from_all
from sgg.evaluation.held_out import HeldOut
from sgg.files import write_json
from sgg.inference.generate import Completion, Key, Shard
from sgg.inference.hf import HfEngine
from sgg.runs.checkpoint import is_marked_complete, prune
from sgg.runs.folder import BEST
from sgg.runs.records import Best
from sgg.tracking.names import EVALUATED, EVALUATED_STEP
from sgg.train.best import Record
from sgg.train.callbacks import MetricsCallback, StopOnSignalCallback
from sgg.train.policy import generating

log = logging.getLogger("sgg")

Complete = Callable[[], list[tuple[Key, Completion]]]
"""This process's share of the completions; all processes call it."""


class Evaluations(TrainerCallback):  # type: ignore[misc]
    """Evaluates as training goes on; on all processes."""

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        trainer: Any,
        processor: Any,
        ranks: Ranks,
        curves: MetricsCallback,
        stop: StopOnSignalCallback,
    ) -> None:
        """Read the images.

        Raises:
            SggError: the eval split is unusable.

        """
        assert isinstance(config.stage, TrainStageConfig)
        self._settings, self._keep = config.stage.evaluate, config.stage.keep_checkpoints
        self._protocol, self._run_dir, self._ranks = config.protocol.id, run_dir, ranks
        self._curves, self._stop = curves, stop
        self._images = HeldOut.of(config)
        self._complete = (
            _by_rollouts(trainer, self._images)
            if evaluates_by_rollouts(config)
            else _by_transformers(
                trainer, processor, self._images, ranks, config.generate.batch_size
            )
        )
        self._record = Record()
        self._began_s = self._took_s = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate what training starts from, or what a signal has kept the run from evaluating."""
        self._began_s = time.perf_counter()
        if self._ranks.is_main:
            self._record = Record.read(self._run_dir, self._settings.keep_best)
        self._record = from_all(self._record)[0]
        step = state.global_step
        if self._is_due(step, state) and step not in self._record.values:
            self._evaluate(step)
        if self._ranks.is_main:
            self._write_best()
            self._warn_of_missing_best()
        if self._is_hopeless():
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate after this step, if it is due; a run that a signal ends has no time for it."""
        step = state.global_step
        if self._stop.stopped_at is not None or not self._is_due(step, state):
            return
        self._evaluate(step)
        if self._record.best == step:
            control.should_save = True
        # a signal may have come meanwhile: not another step before the checkpoint
        self._stop.on_step_end(args, state, control)
        if self._is_hopeless():
            control.should_training_stop = True
            if self._ranks.is_main:
                log.info(
                    "%s has not become better in %d evaluations (stage.evaluate.patience): training ends",
                    self._settings.keep_best,
                    self._settings.patience,
                )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Name the best checkpoint once it is complete; one that was the best may go then."""
        if self._ranks.is_main:
            self._write_best()
            prune(self._run_dir, self._keep)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say which checkpoint is the best, and what the evaluations of this start have cost."""
        if not self._ranks.is_main:
            return
        whole_s = time.perf_counter() - self._began_s
        share = self._took_s / whole_s
        self._curves.record({"speed/evaluation_share": share}, state.global_step)
        log.info("evaluation took %.0f s, %.0f %% of this start", self._took_s, 100 * share)
        best = self._record.best
        if best is not None:
            where = f"kept as model.path={self._run_dir / BEST}"
            log.info(
                "best %s: %.3f at step %d, %s",
                *(self._settings.keep_best, self._record.values[best], best),
                where if self._is_there(best) else f"but checkpoint-{best} is no longer there",
            )
        if self._record.start_is_better():
            log.warning(
                "No checkpoint is better by %s than the weights that training started from: %.3f.",
                *(self._settings.keep_best, self._record.values[0]),
            )

    def _is_due(self, step: int, state: Any) -> bool:
        return step % self._settings.every_steps == 0 or step >= state.max_steps

    def _is_hopeless(self) -> bool:
        patience = self._settings.patience
        return 0 < patience <= self._record.without_gain()

    def _evaluate(self, step: int) -> None:
        """Complete, score on the main process, log; the record is then the same on all."""
        began_s = time.perf_counter()
        shares = from_all(self._complete())
        row: dict[str, float] = {}
        if self._ranks.is_main:
            metrics = self._images.score({key: text for share in shares for key, text in share})
            row = {f"eval/{name}": value for name, value in metrics.items()}
            took_s = time.perf_counter() - began_s
            self._took_s += took_s
            self._curves.record({EVALUATED_STEP: step, **row, "speed/evaluation_s": took_s}, step)
            main = [name.removeprefix("eval/") for name in EVALUATED]
            names = dict.fromkeys([*filter(None, [self._settings.keep_best]), *main])
            shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in names)
            log.info("step %d: %s (evaluation, %.1f s)", step, shown, took_s)
        self._record.add(step, from_all(row)[0])

    def _is_there(self, step: int) -> bool:
        """Whether the step's checkpoint is complete; damaged ones are removed before training begins."""
        return is_marked_complete(self._run_dir / f"checkpoint-{step}")

    def _warn_of_missing_best(self) -> None:
        """Say that the best checkpoint of an earlier start was removed or damaged, and what follows."""
        best = self._record.best
        if best is not None and not self._is_there(best):
            log.warning(
                "checkpoint-%d, the best one by %s (%.3f), is no longer in %s. Its value stays the one to "
                "beat; model.path=%s is refused until an evaluation is better and its checkpoint is saved.",
                *(best, self._settings.keep_best, self._record.values[best]),
                *(self._run_dir, self._run_dir / BEST),
            )

    def _write_best(self) -> None:
        """Have best.json name the best checkpoint, which is complete by now."""
        file, best = self._run_dir / f"{BEST}.json", self._record.best
        if best is None or self._settings.keep_best is None:
            file.unlink(missing_ok=True)
        else:
            named = Best(
                metric=self._settings.keep_best,
                step=best,
                value=self._record.values[best],
                checkpoint=f"checkpoint-{best}",
                images=len(self._images.questions.prepared),
                protocol=self._protocol,
            )
            write_json(file, to_builtins(named))


def _by_transformers(
    trainer: Any, processor: Any, images: HeldOut, ranks: Ranks, batch_size: int
) -> Complete:
    """Each process completes its share of the batches; they are those of `stage=eval`."""

    def complete() -> list[tuple[Key, Completion]]:
        with generating(trainer) as model:
            engine = HfEngine(model, processor, images.sampling, batch_size)
            shard = Shard(ranks.rank, ranks.world)
            return list(engine.completions(images.questions.batches(batch_size, shard)))

    return complete


def _by_rollouts(trainer: Any, images: HeldOut) -> Complete:
    """The weights go to vLLM as they are now, and again before it next generates for the trainer."""

    def complete() -> list[tuple[Key, Completion]]:
        rollouts = trainer.vllm_generation
        rollouts.sync_weights()
        found: list[tuple[Key, Completion]] = rollouts.complete(images.questions, images.sampling)
        trainer._last_loaded_step = -1
        return found

    return complete
