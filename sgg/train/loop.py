"""What SFT and GRPO share: load, resume, stop cleanly, keep the final model.

The trainers themselves are TRL's; this module owns what stands around `trainer.train()`.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import is_peft_model

from sgg.config.derived import (
    evaluates_while_training,
    gold_data,
    in_pieces,
    takes_fixed_samples,
)
from sgg.config.schema import Config
from sgg.config.stage import OptimizerKind, TrainStageConfig
from sgg.data.prepare import prepare
from sgg.data.prepared_split import Prepared
from sgg.data.summary import report_split
from sgg.distributed import Ranks
from sgg.errors import Stopped
from sgg.files import write_whole
from sgg.models.load import load_adapters
from sgg.models.muon import MuonAdamW
from sgg.models.open import Use, open_model
from sgg.models.weights import TRAINED, locate
from sgg.plan.opening import opening
from sgg.runs.checkpoint import (
    is_marked_complete,
    mark_complete,
    newest_complete,
    prune,
    remove_incomplete,
    remove_unmarked,
)
from sgg.runs.checkpoint_signature import sign_written_checkpoint
from sgg.runs.folder import CURVES, MODEL_FOLDER, read_json_lines
from sgg.runs.records import read_best, read_total
from sgg.runs.sweep import resume_command
from sgg.tracking.open import tracking
from sgg.tracking.state import failure_note
from sgg.train import sharding
from sgg.train.callbacks import MetricsCallback, ProgressCallback, StopOnSignalCallback, hand_over
from sgg.train.checksums import CheckLoaded, take, write
from sgg.train.evaluations import Evaluations
from sgg.train.rows import words_of_loaders
from sgg.train.sample_tables import SampleTables
from sgg.train.samples import FixedSamples
from sgg.train.speed import StepClock
from sgg.train.trl_args import trl_args

log = logging.getLogger("sgg")


class AtomicCheckpoints:
    """Mixin for TRL's trainers: a checkpoint counts only when whole, old ones go only then.

    Whole weights of a resumed run are loaded by `train` through `from_pretrained`. The way of transformers
    5.17 (transformers#43701) looks for Qwen-VL's weights under other names than they are saved by, finds
    none, and silently continues with the initial ones. Where there are several adapters it loads those in
    sub-folders and passes over `default`, the one that is trained: so adapters are loaded here, too.
    """

    def __init__(self, *, keep_checkpoints: int, **theirs: Any) -> None:
        """Make TRL's trainer, which keeps that many checkpoints and times its steps."""
        self._keep_checkpoints = keep_checkpoints
        self._saved_step: int | None = None
        self.clock = StepClock()
        super().__init__(**theirs)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card: TRL's knows neither the run's base nor what its completions look like."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not is_peft_model(self.model):  # type: ignore[attr-defined]
            return
        if self.is_fsdp_enabled:  # type: ignore[attr-defined]  # split already; by the names in the model
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        else:
            load_adapters(self.model, Path(resume_from_checkpoint))  # type: ignore[attr-defined]

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """No step beyond the last: transformers 5.17 looks whether all are made only after one more."""
        state, control = self.state, self.control  # type: ignore[attr-defined]
        if state.global_step >= state.max_steps:
            control.should_training_stop = True
        # a run that is resumed from the checkpoint at which it lost patience makes no step either
        if not control.should_training_stop:
            super()._run_epoch(*args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step  # type: ignore[attr-defined]
        # asked twice where the best step ends an epoch: a complete checkpoint is never written over
        if step == self._saved_step:
            return
        self._saved_step = step
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        taken = take(self)  # waits for all ranks
        if self.is_world_process_zero():  # type: ignore[attr-defined]
            run_dir = Path(self.args.output_dir)  # type: ignore[attr-defined]
            folder = run_dir / f"checkpoint-{step}"
            write(folder, taken)
            mark_complete(folder)
            if self.is_deepspeed_enabled:  # type: ignore[attr-defined]  # what it saves, it unpickles
                sign_written_checkpoint(folder)
            prune(run_dir, self._keep_checkpoints)
        self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class TrainerInputs:
    """What a stage builds its trainer from."""

    config: Config
    args: Any
    """TRL's config object."""
    prepared: Prepared
    model: Any
    processor: Any


MakeTrainer = Callable[[TrainerInputs], Any]


def train(config: Config, run_dir: Path, make_trainer: MakeTrainer) -> None:
    """Train to the end, from the newest complete checkpoint if there is one.

    Raises:
        Stopped: a signal came; a checkpoint of the last step is there.
        SggError: weights, data or hardware are missing, or best.json is damaged.

    """
    stage = config.stage
    assert isinstance(stage, TrainStageConfig)
    if is_marked_complete(run_dir / MODEL_FOLDER):
        log.info("%s is finished; nothing to do", run_dir)
        if failure_note(run_dir) is not None:  # by now the tracker may be there again
            _track_again(config, run_dir)
        return
    # a damaged best.json is refused here, not when the first checkpoint is saved
    read_best(run_dir)
    ranks = Ranks.start(config.hardware)
    sharding.start(config)
    with ranks.main_process_first():
        folder = locate(config.model.path, config.model.revision)
        sharding.refuse_adapter(config, folder)
        prepared = _prepared(config, run_dir, ranks)
    checkpoint = newest_complete(run_dir)
    args = trl_args(config, run_dir)  # before the model: ZeRO-3 shards weights while they load
    sharding.force_fsdp_on_cpu(config)
    model = open_model(config, Use.train, folder)
    loaded = model.load(None if config.model.lora.enable else checkpoint)
    trainer = make_trainer(TrainerInputs(config, args, prepared, loaded, model.processor))
    sharding.reduce_grads_in_fp32(trainer)
    stop = StopOnSignalCallback(ranks, period=int(stage.args.get("num_iterations", 1)))
    checks = []
    if checkpoint is not None:
        log.info("going on from %s", checkpoint.name)
        checks = [CheckLoaded(trainer, checkpoint, config.model.path)]
    with tracking(config, run_dir, ranks.is_main) as tracker:
        tables = SampleTables(config, run_dir, tracker)
        curves = MetricsCallback(run_dir, tracker, trainer.clock, tables)
        ours = [trainer.clock, curves, ProgressCallback(stage.name.name), stop]
        if ranks.is_main and takes_fixed_samples(config):
            ours.append(FixedSamples(config, run_dir, trainer, model.processor))
        if evaluates_while_training(config):
            ours.append(Evaluations(config, run_dir, trainer, model.processor, ranks, curves, stop))
        _replace_callbacks(trainer, [*checks, *ours])
        with stop.listening(), words_of_loaders():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if stop.stopped_at is not None:
            raise Stopped(
                f"Stopped at step {stop.stopped_at}. Resume with: {resume_command(run_dir)}",
                stop.received,
            )
        _keep_model(trainer, run_dir, merge=not in_pieces(config))
        tracker.model(run_dir / MODEL_FOLDER)


def _prepared(config: Config, run_dir: Path, ranks: Ranks) -> Prepared:
    """The training split; the main process prepares the others, too, and says what it begins with."""
    cache = Path(config.paths.cache)
    prepared = prepare(config.data, "train", cache, quiet=not ranks.is_main)
    if not ranks.is_main:
        return prepared
    report_split(config, "train", prepared, run_dir)
    log.info("%s", opening(config, {"train": len(prepared)}))
    for line in remove_incomplete(run_dir):
        log.warning("%s", line)
    if takes_fixed_samples(config):
        prepare(config.data, "eval", cache)
    if evaluates_while_training(config):
        prepare(gold_data(config), "eval", cache)
    return prepared


def _track_again(config: Config, run_dir: Path) -> None:
    """Hand a finished run to its trackers: what they lacked may be taken now."""
    with tracking(config, run_dir, int(os.environ.get("RANK", "0")) == 0) as tracker:
        tables = SampleTables(config, run_dir, tracker)
        steps = read_total(run_dir) or 0
        hand_over(read_json_lines(run_dir / CURVES), tracker, tables, steps)
        tracker.model(run_dir / MODEL_FOLDER)


def muon_optimizers(parts: TrainerInputs) -> tuple[Any, None]:
    """What TRL's `optimizers` argument takes: Muon for tiny models, None to let TRL build its own."""
    stage = parts.config.stage
    assert isinstance(stage, TrainStageConfig)
    if stage.optimizer.kind is OptimizerKind.trl:
        return None, None
    adamw_lr = float(stage.args["learning_rate"])
    return MuonAdamW(parts.model.named_parameters(), stage.optimizer.muon_lr, adamw_lr), None


def _replace_callbacks(trainer: Any, ours: list[Any]) -> None:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    for callback in ours:
        trainer.add_callback(callback)


def _keep_model(trainer: Any, run_dir: Path, merge: bool) -> None:
    """The final weights as a plain folder that `from_pretrained`, vLLM and `model.path` take.

    With `merge`, LoRA is merged in; where weights lie in pieces it cannot be: then the adapter is kept as
    it is, without the reference that peft saves beside it, and `load_model` puts it onto its base.
    """
    folder = run_dir / MODEL_FOLDER
    if trainer.is_world_process_zero():
        remove_unmarked(folder)
    trainer.accelerator.wait_for_everyone()
    if is_peft_model(trainer.model) and merge:
        if trainer.is_world_process_zero():
            merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
            merged.save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)
    else:
        trainer.save_model(str(folder))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        steps = trainer.state.global_step
        write_whole(folder / TRAINED, json.dumps({"steps": steps, "run": run_dir.name}))
        (folder / "training_args.bin").unlink(missing_ok=True)  # pickled
        for other in folder.glob("*/adapter_config.json"):
            shutil.rmtree(other.parent)
        mark_complete(folder)
    os.sync()
